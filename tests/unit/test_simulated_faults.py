"""Simulated hardware can be broken part by part, behaves like broken hardware, and is mended again."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import av
import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory

from kiosk.errors import KioskError
from kiosk.hardware.button import GpioButton
from kiosk.hardware.lamp import GpioLamp, LampPattern
from kiosk.hardware.moving_picture import MovingPicture, Sight
from kiosk.hardware.pins import simulated_pins
from kiosk.hardware.relay import GpioRelay
from kiosk.hardware.room import RoomMicrophone
from kiosk.hardware.selection import select_microphone, select_speaker
from kiosk.hardware.simulated_faults import SimulatedFaults
from kiosk.hardware.sound import BLOCK_SAMPLES, Block
from kiosk.hardware.speaker import SimulatedSpeaker
from kiosk.settings import Audio
from tests.threads import no_thread_left
from tests.waiting import HANG_S


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    factory = simulated_pins()
    yield factory
    factory.close()


def faults(factory: MockFactory, **devices: object) -> SimulatedFaults:
    given: dict[str, object] = {"camera": None, "microphone": None, "speaker": None, **devices}
    return SimulatedFaults(factory, {"button": 17, "lamp": 18, "relay": "none"}, **given)  # type: ignore[arg-type]


def test_a_short_circuit_holds_a_pin_whatever_drives_it(pins: MockFactory) -> None:
    lamp = GpioLamp(18, factory=pins)
    breaks = faults(pins)
    breaks.break_it("lamp", "shorted-low")
    lamp.show(LampPattern.ON)
    assert not lamp.lit
    breaks.break_it("lamp", "shorted-high")
    lamp.show(LampPattern.OFF)
    assert lamp.lit
    breaks.break_it("lamp", "mended")
    assert not lamp.lit
    lamp.close()


def test_a_short_circuit_of_a_button_is_a_press_that_does_not_end(pins: MockFactory) -> None:
    button = GpioButton(17, factory=pins)
    assert not button.level()
    faults(pins).break_it("button", "shorted-low")
    assert button.level()
    button.close()


def test_a_relay_can_be_held_as_well(pins: MockFactory) -> None:
    relay = GpioRelay(23, active_high=True, factory=pins)
    breaks = SimulatedFaults(pins, {"relay": 23}, camera=None, microphone=None, speaker=None)
    breaks.break_it("relay", "shorted-low")
    relay.switch(True)
    assert not relay.closed
    relay.close()


def test_what_is_not_simulated_cannot_be_broken(pins: MockFactory) -> None:
    breaks = faults(pins)
    assert breaks.parts == ("button", "lamp")
    with pytest.raises(KioskError, match="'camera' is no simulated part here: there are button, lamp"):
        breaks.break_it("camera", "covered")
    with pytest.raises(KioskError, match="lamp cannot be 'on fire': use shorted-low, shorted-high, mended"):
        breaks.break_it("lamp", "on fire")


@pytest.mark.parametrize(
    ("sight", "darkest", "brightest"),
    [("clear", 16, 235), ("covered", 16, 16), ("dazzled", 235, 235), ("blank", 110, 110)],
)
def test_a_camera_sees_what_is_before_it(pins: MockFactory, sight: Sight, darkest: int, brightest: int) -> None:
    camera = MovingPicture(width=160, height=96, fps=60)
    faults(pins, camera=camera).break_it("camera", sight)
    luma = pictures(camera, 1)[0].to_ndarray(format="yuv420p")[:96]
    assert (int(luma.min()), int(luma.max())) == (darkest, brightest)


def test_a_frozen_camera_repeats_itself_and_a_clear_one_does_not(pins: MockFactory) -> None:
    camera = MovingPicture(width=160, height=96, fps=60)
    breaks = faults(pins, camera=camera)
    breaks.break_it("camera", "frozen")
    first, *_, last = (frame.to_ndarray() for frame in pictures(camera, 5))
    assert np.array_equal(first, last)
    breaks.break_it("camera", "clear")
    first, *_, last = (frame.to_ndarray() for frame in pictures(camera, 5))
    assert not np.array_equal(first, last)


def pictures(camera: MovingPicture, number: int) -> list[av.VideoFrame]:
    frames: queue.Queue[av.VideoFrame] = queue.Queue()
    with no_thread_left():
        camera.open(frames.put, pytest.fail)
        try:
            return [frames.get(timeout=HANG_S) for _ in range(number)]
        finally:
            camera.close()


def heard(speaker: SimulatedSpeaker, microphone: RoomMicrophone, blocks: int = 40) -> Block:
    """What *microphone* hears while *speaker* sounds a tone."""
    arrived: queue.Queue[Block] = queue.Queue()
    at = np.arange(BLOCK_SAMPLES) / BLOCK_SAMPLES
    tone = (np.sin(2 * np.pi * 20 * at) * 10_000).astype(np.int16)
    with no_thread_left():
        speaker.feed(lambda: tone)
        speaker.open(pytest.fail)
        microphone.open(lambda block: arrived.put(block.copy()), pytest.fail)
        try:
            return np.concatenate([arrived.get(timeout=HANG_S) for _ in range(blocks)])
        finally:
            microphone.close()
            speaker.close()


def test_a_microphone_in_the_room_hears_the_speaker_and_never_true_silence() -> None:
    speaker = SimulatedSpeaker()
    microphone = RoomMicrophone(speaker)
    assert np.abs(heard(speaker, microphone)).max() > 6_000


def test_of_a_speaker_that_is_unplugged_only_the_room_is_heard(pins: MockFactory) -> None:
    speaker = SimulatedSpeaker()
    microphone = RoomMicrophone(speaker)
    breaks = faults(pins, speaker=speaker, microphone=microphone)
    breaks.break_it("speaker", "unplugged")
    sound = heard(speaker, microphone)
    assert 0 < np.abs(sound).max() < 200
    breaks.break_it("speaker", "mended")
    assert np.abs(heard(speaker, microphone)).max() > 6_000


def test_a_muted_microphone_gives_exact_silence(pins: MockFactory) -> None:
    speaker = SimulatedSpeaker()
    microphone = RoomMicrophone(speaker)
    breaks = faults(pins, speaker=speaker, microphone=microphone)
    breaks.break_it("microphone", "muted")
    assert not heard(speaker, microphone).any()
    breaks.break_it("microphone", "mended")
    assert heard(speaker, microphone).any()


def test_a_room_needs_a_simulated_speaker() -> None:
    speaker, _ = select_speaker(Audio(speaker="simulated"))
    microphone, why = select_microphone(Audio(microphone="room"), speaker=speaker)
    assert isinstance(microphone, RoomMicrophone)
    assert why == ""
    assert select_microphone(Audio(microphone="room")) == (
        None,
        'audio.microphone = "room" hears only audio.speaker = "simulated"',
    )
