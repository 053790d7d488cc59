"""A finger that trembles, an edge that is lost, a lamp that really blinks."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator

import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from kiosk.hardware.button import Edge, GpioButton
from kiosk.hardware.lamp import GpioLamp, LampPattern
from kiosk.hardware.pins import KEPT_STATES, simulated_pins
from kiosk.hardware.simulated_finger import SimulatedFinger
from tests.threads import no_thread_left
from tests.waiting import HANG_S, LOOK_AGAIN_S


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    with no_thread_left():
        yield


@pytest.fixture
def pins(threads_end: None) -> Iterator[MockFactory]:
    factory = simulated_pins()
    yield factory
    factory.close()


@pytest.mark.parametrize("seed", range(5))
def test_a_trembling_finger_makes_and_breaks_in_turn_and_ends_where_it_should(pins: MockFactory, seed: int) -> None:
    button = GpioButton(17, factory=pins)
    edges: list[Edge] = []
    button.start(edges.append)
    finger = SimulatedFinger(pins, 17, bounces=6, bounce_s=0.0005, rng=random.Random(seed))
    for _ in range(3):
        finger.press()
        assert button.level()
        finger.release()
        assert not button.level()
    assert [edge.active for edge in edges] == [True, False] * (len(edges) // 2)
    assert 6 <= len(edges) <= 6 * 13
    button.close()


def test_the_same_trembling_can_be_had_again(pins: MockFactory) -> None:
    counts = []
    button = GpioButton(17, factory=pins)
    for _ in range(2):
        edges: list[Edge] = []
        button.start(edges.append)
        SimulatedFinger(pins, 17, bounces=9, bounce_s=0, rng=random.Random(4)).press()
        SimulatedFinger(pins, 17, bounces=0).release()
        counts.append(len(edges))
    assert counts[0] == counts[1] > 2
    button.close()


def test_bounce_lasts_as_long_as_it_is_said_to(pins: MockFactory) -> None:
    button = GpioButton(17, factory=pins)
    edges: list[Edge] = []
    button.start(edges.append)
    SimulatedFinger(pins, 17, bounces=4, bounce_s=0.002).press()
    assert len(edges) == 9
    assert all(two.at - one.at >= 0.002 for one, two in itertools.pairwise(edges))
    button.close()


def test_edges_arrive_on_the_fingers_thread(pins: MockFactory) -> None:
    button = GpioButton(17, factory=pins)
    threads: list[str] = []
    button.start(lambda edge: threads.append(threading.current_thread().name))
    pressing = threading.Thread(target=SimulatedFinger(pins, 17, bounces=0).press, name="finger")
    pressing.start()
    pressing.join(HANG_S)
    assert threads == ["finger"]
    button.close()


def test_a_lost_edge_is_seen_in_the_level(pins: MockFactory) -> None:
    button = GpioButton(17, factory=pins)
    pin: MockPin = pins.pin(17)
    edges: list[Edge] = []
    button.start(edges.append)
    pin.when_changed = None  # what the kernel does when its queue of events is full
    SimulatedFinger(pins, 17, bounces=0).press()
    assert edges == []
    assert button.level()
    button.close()


@pytest.mark.parametrize("pattern", [LampPattern.SLOW, LampPattern.FAST])
def test_a_blinking_lamp_goes_dark_and_comes_back_until_it_is_closed(
    pins: MockFactory, pattern: LampPattern
) -> None:
    lamp = GpioLamp(18, factory=pins)
    pin: MockPin = pins.pin(18)
    pin.clear_states()
    lamp.show(pattern)
    assert lamp.lit
    seen = _states_until(pin, 4)
    assert seen == [False, True, False, True]
    lamp.show(LampPattern.ON)
    assert lamp.lit
    lamp.show(LampPattern.OFF)
    assert not lamp.lit
    lamp.show(pattern)
    lamp.close()
    assert not lamp.lit


def _states_until(pin: MockPin, count: int) -> list[bool]:
    end = time.monotonic() + HANG_S
    while len(pin.states) < count:
        assert time.monotonic() < end, f"the lamp only went through {pin.states}"
        time.sleep(LOOK_AGAIN_S)
    return [bool(state.state) for state in pin.states[:count]]


def test_a_simulated_pin_does_not_remember_for_ever(pins: MockFactory) -> None:
    pin = pins.pin("GPIO18")
    assert isinstance(pin, MockPin)
    for _ in range(KEPT_STATES):
        pin.drive_high()
        pin.drive_low()
    assert len(pin.states) == KEPT_STATES
