"""The Pi's camera and its H.264 encoder, on the simulated Pi: what they make, and what is said when one fails."""

from __future__ import annotations

import itertools
import queue
import time
from collections.abc import Iterator
from typing import Any

import av
import pytest

from kiosk.errors import HardwareFault
from kiosk.hardware.camera import Coded, Coding
from kiosk.hardware.camera_picamera2 import Picamera2Camera
from kiosk.hardware.moving_picture import read_code
from kiosk.hardware.picamera2_encoder import SILENT_S, VIDIOC_S_CTRL
from kiosk.hardware.simulated_h264 import Board, Node
from kiosk.hardware.simulated_picamera2 import SimulatedLibrary
from tests.threads import no_thread_left
from tests.unit.test_hardware_camera import luma_of
from tests.waiting import until

HANG_S = 20.0
WIDTH, HEIGHT, FPS = 320, 192, 60
BPS = 600_000


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    with no_thread_left():
        yield


class Filming:
    """A camera on a simulated Pi, and what it gave."""

    def __init__(self, **how: Any) -> None:
        self.board = Board()
        self.camera = Picamera2Camera(
            width=WIDTH, height=HEIGHT, fps=FPS, library=SimulatedLibrary(self.board), **how
        )
        self.frames: queue.Queue[av.VideoFrame] = queue.Queue()
        self.faults: queue.Queue[str] = queue.Queue()
        self.coded: queue.Queue[Coded] = queue.Queue()
        self.encoder_faults: queue.Queue[str] = queue.Queue()
        self.run = 0

    def open(self) -> None:
        self.camera.open(self.frames.put, self.faults.put)

    def code(self, *, bps: int = BPS, half: bool = False, every: int = 1, anew: bool = False) -> None:
        self.run += anew
        self.camera.code(Coding(bps, half, every, self.run), self.coded.put, self.encoder_faults.put)

    def gives(self, count: int = 1) -> list[Coded]:
        return [self.coded.get(timeout=HANG_S) for _ in range(count)]

    def gives_keyframe(self) -> Coded:
        """The next, of those that have not been looked at."""
        while not (coded := self.coded.get(timeout=HANG_S)).keyframe:
            pass
        return coded


@pytest.fixture
def filming() -> Iterator[Filming]:
    filming = Filming()
    filming.camera.try_encoder()
    filming.camera.want_frames(False)
    yield filming
    filming.camera.close()
    filming.camera.close()
    assert (filming.board.opened, filming.board.encoders) == (0, 0)


def decoded(pictures: list[Coded]) -> list[av.VideoFrame]:
    decoder: Any = av.CodecContext.create("h264", "r")
    return [frame for one in pictures for frame in decoder.decode(av.Packet(one.data))]


def test_the_camera_gives_h264_that_shows_what_it_films_and_copies_no_frame(filming: Filming) -> None:
    filming.open()
    filming.code()
    pictures = filming.gives(10)
    assert [one.keyframe for one in pictures] == [True] + [False] * 9
    codes = [read_code(luma_of(frame)) for frame in decoded(pictures)]
    assert codes == list(range(codes[0] or 0, (codes[0] or 0) + 10))
    assert filming.frames.empty()
    assert filming.board.copied == 0


def test_pictures_are_dated_by_the_sensor_and_not_before_they_were_taken(filming: Filming) -> None:
    filming.open()
    before = time.monotonic()
    filming.code()
    pictures = filming.gives(20)
    after = time.monotonic()
    assert before <= pictures[0].taken_s
    assert all(one.taken_s <= after for one in pictures)
    assert 0 < pictures[-1].taken_s - pictures[0].taken_s <= 19 / FPS + 0.001, "a late one is dated no later"


def test_what_is_asked_before_the_opening_holds_after_it_and_after_another(filming: Filming) -> None:
    filming.code()
    filming.open()
    assert filming.gives()[0].keyframe
    filming.camera.close()
    filming.coded = queue.Queue()
    filming.code()
    filming.open()
    assert filming.gives()[0].keyframe


def test_a_key_frame_that_is_asked_for_comes_within_a_few_pictures(filming: Filming) -> None:
    filming.open()
    filming.code()
    filming.gives(5)
    filming.camera.request_keyframe()
    between = [filming.gives()[0] for _ in range(30)]
    assert any(one.keyframe for one in between)


def test_the_bit_rate_changes_in_the_running_encoder(filming: Filming) -> None:
    filming.open()
    filming.code(bps=100_000)
    filming.gives(30)
    few = sum(len(one.data) for one in filming.gives(30))
    filming.code(bps=3_000_000)
    filming.gives(30)
    many = filming.gives(30)
    assert sum(len(one.data) for one in many) > 1.5 * few
    assert not any(one.keyframe for one in many)
    assert filming.board.started == 2, "the trial's and one more"


async def test_half_the_size_comes_with_a_key_frame_and_no_more_encoders_than_one(filming: Filming) -> None:
    filming.open()
    filming.code()
    filming.gives(3)
    filming.code(half=True)
    small = filming.gives_keyframe()
    assert [(frame.width, frame.height) for frame in decoded([small])] == [(128, 96)], "rows of 64 points"
    await until(lambda: filming.board.encoders == 1, "the other one is stopped")


def test_every_second_picture_is_left_out(filming: Filming) -> None:
    filming.open()
    filming.code(every=2)
    codes = [read_code(luma_of(frame)) or 0 for frame in decoded(filming.gives(5))]
    assert [later - one for one, later in itertools.pairwise(codes)] == [2, 2, 2, 2]


def test_frames_come_beside_the_coded_pictures_for_who_wants_them(filming: Filming) -> None:
    filming.open()
    filming.code()
    filming.gives(2)
    filming.camera.want_frames(True)
    assert read_code(luma_of(filming.frames.get(timeout=HANG_S))) is not None
    filming.camera.want_frames(False)
    filming.gives(2)


async def test_nothing_is_made_any_more_once_nothing_is_asked(filming: Filming) -> None:
    filming.open()
    filming.code()
    filming.gives(2)
    filming.camera.code(None, filming.coded.put, filming.encoder_faults.put)
    await until(lambda: filming.board.encoders == 0, "the encoder is stopped")
    assert filming.faults.empty()
    assert filming.encoder_faults.empty()


def test_another_run_begins_anew_with_a_key_frame(filming: Filming) -> None:
    filming.open()
    filming.code()
    filming.gives(3)
    filming.code(anew=True)
    assert filming.gives_keyframe().keyframe
    assert filming.board.started == 3


def test_an_encoder_that_falls_silent_is_told_once_and_frames_go_on(filming: Filming) -> None:
    filming.open()
    filming.code()
    filming.gives(3)
    filming.board.encoder_works = False
    assert "it has given no picture for 1 s" in filming.encoder_faults.get(timeout=HANG_S)
    assert filming.board.encoders == 0
    filming.camera.want_frames(True)
    filming.frames.get(timeout=HANG_S)
    assert filming.faults.empty(), "the camera is in order"
    filming.board.encoder_works = True
    filming.coded = queue.Queue()
    filming.code(anew=True)
    assert filming.gives()[0].keyframe


def test_a_sensor_that_starts_slowly_is_not_the_encoders_fault(filming: Filming) -> None:
    filming.board.first_picture_after_s = 1.2 * SILENT_S
    filming.code()
    filming.open()
    assert filming.gives()[0].keyframe
    assert filming.encoder_faults.empty()


async def test_a_key_frame_that_nobody_encodes_is_forgotten(filming: Filming) -> None:
    filming.open()
    filming.camera.request_keyframe()
    await until(lambda: not filming.camera._wants_keyframe, "the camera's thread has seen it")
    filming.code()
    assert [one.keyframe for one in filming.gives(10)] == [True] + [False] * 9


async def test_an_encoder_that_is_given_nothing_for_a_moment_owes_nothing(filming: Filming) -> None:
    filming.open()
    filming.code()
    filming.gives(3)
    looked = filming.board.looked
    filming.board.plugged = False
    await until(lambda: filming.board.looked > looked, "it is looked whether the camera is still there")
    filming.board.plugged = True
    filming.coded = queue.Queue()
    filming.code()
    filming.gives(10)
    assert filming.encoder_faults.empty()
    assert filming.faults.empty()
    assert filming.board.started == 2, "the trial's and the same one still"


def test_an_encoder_that_pauses_for_a_moment_is_no_fault(filming: Filming) -> None:
    filming.open()
    filming.code()
    filming.gives(3)
    filming.board.encoder_works = False
    filming.camera.want_frames(True)
    filming.frames.get(timeout=HANG_S)
    filming.board.encoder_works = True
    filming.gives(10)
    assert filming.encoder_faults.empty()


def test_an_encoder_that_cannot_be_started_in_a_call_is_told_and_no_thread_is_left(filming: Filming) -> None:
    filming.open()
    filming.board.encodes = False
    filming.code()
    assert "/dev/video11" in filming.encoder_faults.get(timeout=HANG_S)
    filming.camera.want_frames(True)
    filming.frames.get(timeout=HANG_S)


def test_a_control_that_the_node_refuses_is_the_encoders_fault(
    filming: Filming, monkeypatch: pytest.MonkeyPatch
) -> None:
    filming.open()
    filming.code()
    filming.gives(3)

    def refuse(node: Node, control: int, value: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Node, "control", refuse)
    filming.camera.request_keyframe()
    assert "Input/output error" in filming.encoder_faults.get(timeout=HANG_S)


@pytest.mark.parametrize("asked", ["coded", "frames", "neither"])
def test_a_ribbon_that_slips_out_is_the_cameras_fault_whatever_it_gives(filming: Filming, asked: str) -> None:
    filming.open()
    if asked == "coded":
        filming.code()
        filming.gives(3)
    filming.camera.want_frames(asked == "frames")
    filming.board.plugged = False
    assert "no picture comes any more (is the ribbon in?)" in filming.faults.get(timeout=HANG_S)
    assert filming.encoder_faults.empty()
    filming.camera.close()
    with pytest.raises(HardwareFault, match="is the ribbon in"):
        filming.open()
    filming.board.plugged = True
    filming.coded = queue.Queue()
    filming.code(anew=True)
    filming.open()
    assert filming.gives()[0].keyframe


def test_a_silent_camera_is_closed_without_waiting_for_its_picture(filming: Filming) -> None:
    filming.camera.want_frames(True)
    filming.open()
    filming.frames.get(timeout=HANG_S)
    filming.board.plugged = False
    filming.camera.close()
    assert filming.faults.empty(), "it was we who ended it"


# -- the trial, and the picture's turn


def test_a_machine_without_an_encoder_says_so_and_gives_frames() -> None:
    filming = Filming()
    filming.board.encodes = False
    with pytest.raises(HardwareFault, match=r"H\.264 encoder cannot be started: .*/dev/video11"):
        filming.camera.try_encoder()
    filming.open()
    assert filming.frames.get(timeout=HANG_S).width == WIDTH
    filming.camera.close()
    assert filming.board.encoders == 0


def test_the_trial_takes_no_picture_and_leaves_nothing_behind() -> None:
    filming = Filming()
    assert filming.camera.try_encoder() == "picamera2 (simulated)'s hardware encoder"
    assert (filming.board.started, filming.board.encoders, filming.board.opened) == (1, 0, 0)


@pytest.mark.parametrize("rotation", [90, 270])
def test_a_picture_on_its_side_is_not_for_the_hardware(rotation: Any) -> None:
    filming = Filming(rotation=rotation)
    assert filming.camera.turns == 0
    with pytest.raises(HardwareFault, match="turned on its side"):
        filming.camera.try_encoder()


def test_a_camera_upside_down_is_turned_by_its_sensor() -> None:
    filming = Filming(rotation=180)
    filming.camera.try_encoder()
    assert filming.camera.turns == 180
    filming.code()
    filming.open()
    (picture,) = decoded(filming.gives())
    assert read_code(luma_of(picture)[::-1, ::-1]) is not None
    frame = filming.frames.get(timeout=HANG_S)
    assert read_code(luma_of(frame)[::-1, ::-1]) is not None
    filming.camera.close()


def test_the_node_takes_what_the_driver_takes() -> None:
    library = SimulatedLibrary(Board())
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        library.ioctl(object(), VIDIOC_S_CTRL, b"")
    node = Node()
    with pytest.raises(OSError, match="Invalid argument"):
        node.control(1, 1)
    node.closed = True
    with pytest.raises(OSError, match="Bad file descriptor"):
        node.control(1, 1)
