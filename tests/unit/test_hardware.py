"""The ports and their simulated twins behave like hardware, faults included."""

from __future__ import annotations

import itertools
import queue
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory, MockPin
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kiosk.errors import HardwareFault
from kiosk.hardware.button import Edge, GpioButton
from kiosk.hardware.camera_picamera2 import Picamera2Camera
from kiosk.hardware.camera_v4l2 import V4l2Camera
from kiosk.hardware.lamp import GpioLamp, LampPattern
from kiosk.hardware.moving_picture import MovingPicture, draw_code, read_code
from kiosk.hardware.pins import real_pins, simulated_pins
from kiosk.hardware.relay import GpioRelay
from kiosk.hardware.selection import select_camera, select_microphone, select_speaker
from kiosk.hardware.simulated_finger import SimulatedFinger
from kiosk.hardware.simulated_h264 import Board
from kiosk.hardware.simulated_picamera2 import SimulatedPicamera2
from kiosk.settings import Audio, Video
from tests.threads import no_thread_left

HANG_S = 20.0


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    factory = simulated_pins()
    yield factory
    factory.close()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    with no_thread_left():
        yield


# -- buttons and lamp


def test_every_edge_arrives_raw_bounce_included(pins: MockFactory) -> None:
    button = GpioButton(17, factory=pins)
    edges: list[Edge] = []
    button.start(edges.append)
    finger = SimulatedFinger(pins, 17, bounces=3)
    finger.press()
    assert [edge.active for edge in edges] == [True, False, True, False, True, False, True]
    assert button.level()
    finger.release()
    assert len(edges) == 14
    assert not button.level()
    assert all(one.at <= two.at for one, two in itertools.pairwise(edges))
    button.close()
    button.close()


def test_a_5_ms_tap_makes_at_least_one_making_edge(pins: MockFactory) -> None:
    button = GpioButton(17, factory=pins)
    edges: list[Edge] = []
    button.start(edges.append)
    SimulatedFinger(pins, 17, bounces=0).tap(0.005)
    assert [edge.active for edge in edges] == [True, False]
    button.close()


@pytest.mark.parametrize(("active_high", "high"), [(True, True), (False, False)])
def test_a_relay_is_open_until_told_and_after_it_is_closed(
    pins: MockFactory, active_high: bool, high: bool
) -> None:
    relay = GpioRelay(23, active_high=active_high, factory=pins)
    pin: MockPin = pins.pin(23)
    assert (relay.closed, bool(pin.state)) == (False, not high)
    relay.switch(True)
    assert (relay.closed, bool(pin.state)) == (True, high)
    relay.switch(False)
    assert (relay.closed, bool(pin.state)) == (False, not high)
    relay.switch(True)
    pin.clear_states()
    relay.close()
    driven = [bool(state.state) for state in pin.states[1:]]
    assert driven[0] is not high, "driven open before the pin is let go"
    assert not relay.closed
    relay.close()


def test_on_a_closed_line_a_press_is_an_opened_contact(pins: MockFactory) -> None:
    button = GpioButton(17, factory=pins, normally_closed=True)
    finger = SimulatedFinger(pins, 17, bounces=0, normally_closed=True)
    assert button.level(), "no cord is plugged in"
    finger.plug_in()
    edges: list[Edge] = []
    button.start(edges.append)
    finger.press()
    assert button.level()
    finger.release()
    assert not button.level()
    assert [edge.active for edge in edges] == [True, False]
    button.close()


def test_a_machine_without_pins_is_told_what_to_do() -> None:
    with pytest.raises(HardwareFault, match=r"install lgpio .* buttons\.simulated"):
        real_pins()


def test_a_pin_used_twice_is_told(pins: MockFactory) -> None:
    lamp = GpioLamp(18, factory=pins)
    with pytest.raises(HardwareFault, match="GPIO18"):
        GpioButton(18, factory=pins)
    lamp.close()


@pytest.mark.parametrize("pattern", LampPattern)
def test_the_lamp_is_lit_at_once_by_every_pattern_but_off(pins: MockFactory, pattern: LampPattern) -> None:
    lamp = GpioLamp(18, factory=pins)
    lamp.show(LampPattern.OFF)
    lamp.show(pattern)
    lamp.show(pattern)
    assert lamp.lit == (pattern is not LampPattern.OFF)
    lamp.close()
    assert not lamp.lit
    lamp.close()


# -- the moving picture and its code


def luma(width: int = 640, height: int = 360) -> NDArray[np.uint8]:
    return np.full((height, width), 100, np.uint8)


@given(counter=st.integers(0, 65535), noise=st.integers(0, 60), seed=st.integers(0, 999), half=st.booleans())
def test_the_code_survives_noise_and_scaling(counter: int, noise: int, seed: int, half: bool) -> None:
    plane = luma()
    draw_code(plane, counter)
    if half:
        plane = plane[::2, ::2]
    shaken = plane.astype(int) + np.random.default_rng(seed).integers(-noise, noise + 1, plane.shape)
    assert read_code(shaken.clip(0, 255).astype(np.uint8)) == counter


@given(st.binary(min_size=24, max_size=24))
def test_what_is_not_our_picture_has_no_code(cells: bytes) -> None:
    plane = np.repeat(np.frombuffer(cells, np.uint8)[None, :], 24, axis=0)
    found = read_code(np.ascontiguousarray(plane))
    if found is not None:
        again = luma(24, 24)
        draw_code(again, found)
        assert (again[0] > 128).tolist() == (plane[0] > 128).tolist()
    assert read_code(luma()) is None
    assert read_code(luma(8, 8)) is None


def test_the_moving_picture_moves_closes_and_opens_again() -> None:
    camera = MovingPicture(width=320, height=192, fps=60)
    for _ in range(2):
        frames: queue.Queue[Any] = queue.Queue(100)
        camera.open(frames.put, lambda why: None)
        first, second = (frames.get(timeout=HANG_S).to_ndarray() for _ in range(2))
        camera.close()
        camera.close()
        assert [read_code(frame[:192]) for frame in (first, second)] == [0, 1]
        assert (first[40:192] != second[40:192]).any(), "not only the code moves"


def test_a_camera_that_vanishes_says_so_once() -> None:
    camera = MovingPicture(width=320, height=192, fps=60, vanish_after=2)
    faults: queue.Queue[str] = queue.Queue()
    camera.open(lambda frame: None, faults.put)
    assert "unplugged" in faults.get(timeout=HANG_S)
    camera.close()
    assert faults.empty()


def test_a_missing_v4l2_device_is_named() -> None:
    with pytest.raises(HardwareFault, match=r"camera /dev/video99"):
        V4l2Camera("/dev/video99", width=640, height=360, fps=30).open(lambda frame: None, lambda why: None)


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch) -> Board:
    """A Pi where picamera2 can be imported."""
    board = Board()

    class Picamera2(SimulatedPicamera2):
        def __init__(self) -> None:
            super().__init__(board)

        @staticmethod
        def global_camera_info() -> list[dict[str, str]]:
            return [{"Model": "imx708"}] if board.plugged else []

    module = ModuleType("picamera2")
    vars(module)["Picamera2"] = Picamera2
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return board


def test_the_pis_camera_delivers_frames_and_lets_go(pi: Board) -> None:
    camera, why = select_camera(Video(camera="auto"))
    assert isinstance(camera, Picamera2Camera), why
    frames: queue.Queue[Any] = queue.Queue()
    camera.open(lambda frame: frames.put(frame) if frames.qsize() < 3 else None, lambda why: None)
    frame = frames.get(timeout=HANG_S)
    assert (frame.width, frame.height, frame.format.name) == (640, 360, "yuv420p")
    camera.close()
    camera.close()
    assert pi.opened == 0


def test_a_pi_without_a_camera_is_told(pi: Board) -> None:
    pi.plugged = False
    with pytest.raises(HardwareFault, match="is the ribbon in"):
        Picamera2Camera(width=640, height=360, fps=30).open(lambda frame: None, lambda why: None)
    assert select_camera(Video(camera="auto"))[1] == "no camera found"


def test_the_simulated_pi_can_be_chosen_and_encodes() -> None:
    camera, why = select_camera(Video(camera="test-h264", rotation=180))
    assert isinstance(camera, Picamera2Camera), why
    assert camera.turns == 180
    assert "simulated" in camera.try_encoder()


# -- selection


def test_what_is_switched_off_is_off_and_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert select_camera(Video(camera="none"))[0] is None
    assert select_microphone(Audio(microphone="none"))[0] is None
    assert select_speaker(Audio(speaker="none"))[0] is None
    monkeypatch.setitem(sys.modules, "alsaaudio", None)
    for device, why in (select_microphone(Audio()), select_speaker(Audio())):
        assert device is None
        assert "pyalsaaudio is not installed" in why
    camera, _ = select_camera(Video(camera="/dev/video7"))
    assert camera is not None
    assert camera.name == "/dev/video7"


def test_what_is_named_is_taken() -> None:
    names = [
        device.name if device else "none"
        for device, _ in (
            select_camera(Video(camera="test")),
            select_camera(Video(camera="picamera2")),
            select_microphone(Audio(microphone="tone:440")),
            select_microphone(Audio(microphone="sample")),
            select_microphone(Audio(microphone="hw:1")),
            select_speaker(Audio(speaker="simulated")),
            select_speaker(Audio(speaker="hw:1")),
        )
    ]
    assert names == [
        "moving test picture",
        "picamera2",
        "tone of 440 Hz",
        "spoken sample hello.ogg",
        "ALSA hw:1",
        "simulated speaker",
        "ALSA hw:1",
    ]
    with pytest.raises(HardwareFault, match=r"tone:loud.*tone:440"):
        select_microphone(Audio(microphone="tone:loud"))
