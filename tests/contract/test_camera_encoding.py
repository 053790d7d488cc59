"""The camera's own encoder feeds all viewers, and whatever fails of it, the seats see the patient again."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiortc import RTCRtpReceiver

from kiosk.hardware.camera import Rotation
from kiosk.hardware.camera_picamera2 import Picamera2Camera
from kiosk.hardware.microphone import ToneMicrophone
from kiosk.hardware.moving_picture import MovingPicture, read_code
from kiosk.hardware.simulated_h264 import Board
from kiosk.hardware.simulated_picamera2 import SimulatedLibrary
from kiosk.media.answering_peer import AnsweringPeer, luma_of
from kiosk.media.call_devices import CallDevices, DeviceEvent, DeviceFault, DeviceOpened
from kiosk.media.camera_encoding import LATE_PICTURES, working_encoder
from kiosk.media.encoders import CLOCK, MakeEncoder, VideoCodec, Vp8Encoder
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.picture_shape import left_to_turn
from kiosk.media.rate_control import Report, Target
from kiosk.media.session import MediaConnected, MediaEvent, MediaSession
from kiosk.media.video_source import VideoSource
from kiosk.signaling.messages import CallType
from tests.contract.test_video_source import Watching, decoded, encoding_threads, nal_units
from tests.threads import no_thread_left
from tests.waiting import HANG_S, until

WIDTH, HEIGHT, FPS = 320, 192, 30
SOON_PICTURES = 10
"""A key frame comes with the next picture; some are on their way to the viewer, and some to the camera's thread."""


@pytest.fixture
def board() -> Board:
    return Board()


def pi_camera(board: Board, *, rotation: Rotation = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Picamera2Camera:
    return Picamera2Camera(
        width=size[0], height=size[1], fps=FPS, rotation=rotation, library=SimulatedLibrary(board)
    )


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    with no_thread_left():
        yield


class Opened:
    """A source whose camera is open, as in a call."""

    def __init__(
        self,
        board: Board,
        *,
        makers: dict[VideoCodec, MakeEncoder] | None = None,
        size: tuple[int, int] = (WIDTH, HEIGHT),
    ) -> None:
        self.board = board
        self.camera = pi_camera(board, size=size)
        assert working_encoder(self.camera) is self.camera
        self.source = VideoSource(fps=FPS, makers=makers, camera=self.camera)

    async def __aenter__(self) -> Opened:
        await asyncio.to_thread(self.camera.open, self.source.deliver, lambda why: None)
        return self

    async def __aexit__(self, *why: object) -> None:
        await self.source.close()
        await asyncio.to_thread(self.camera.close)
        assert not encoding_threads()
        assert (self.board.opened, self.board.encoders) == (0, 0)

    def watched(self, codec: VideoCodec = "H264") -> tuple[Watching, int]:
        viewer = Watching()
        return viewer, self.source.join(viewer, codec)


@pytest.fixture
async def opened(board: Board) -> AsyncIterator[Opened]:
    async with Opened(board) as opened:
        yield opened


def codes_that_count(viewer: Watching) -> list[int]:
    codes = [code for code in viewer.codes() if code is not None]
    assert len(codes) == len(viewer.packets), "each picture shows its code"
    return codes


# -- what the viewers get


async def test_four_viewers_get_the_packets_of_one_encoder_and_no_frame_is_touched(opened: Opened) -> None:
    viewers = [opened.watched()[0] for _ in range(4)]
    await viewers[3].gets(10)
    for viewer in viewers:
        assert viewer.packets[0].keyframe or viewer is not viewers[0]
        assert viewer.packets[-5:] == viewers[0].packets[-5:]
    codes = codes_that_count(viewers[0])
    assert codes == list(range(codes[0], codes[0] + len(codes)))
    assert opened.board.encoders == 1
    assert opened.board.copied == 0
    assert not encoding_threads()


async def test_pictures_are_dated_forward_in_the_steps_of_the_camera(opened: Opened) -> None:
    viewer, _ = opened.watched()
    await viewer.gets(20)
    steps = [later.pts - one.pts for one, later in itertools.pairwise(viewer.packets)]
    assert min(steps) > 0
    assert sum(steps) <= len(steps) * CLOCK // FPS + CLOCK // 1000


async def test_nothing_is_encoded_before_somebody_watches_nor_after(opened: Opened) -> None:
    assert opened.board.encoders == 0
    viewer, number = opened.watched()
    await viewer.gets(2)
    opened.source.leave(number)
    await until(lambda: opened.board.encoders == 0, "the encoder is stopped")
    assert opened.board.copied == 0


async def test_each_key_frame_brings_its_headers_though_the_encoder_sends_them_once(
    opened: Opened, board: Board
) -> None:
    board.headers = "with the first"
    viewer, number = opened.watched()
    await viewer.gets(3)
    opened.source.request_keyframe(number)
    await until(lambda: viewer.keyframes == 2, "another key frame")
    for one in viewer.packets:
        if one.keyframe:
            units = nal_units(one.data)
            assert units[:2] == ["sps", "pps"]
            assert units[-1] == "key"


async def test_who_joins_later_gets_a_key_frame_within_a_few_pictures(opened: Opened) -> None:
    first, _ = opened.watched()
    await first.gets(5)
    before = len(first.packets)
    late, _ = opened.watched()
    await until(lambda: late.keyframes > 0, "a key frame for the new one")
    positions = [at for at, one in enumerate(first.packets) if one.keyframe and at >= before]
    assert positions[0] - before <= SOON_PICTURES
    assert opened.board.started == 2, "the trial's and one: nothing was started anew for it"


async def test_a_seat_without_h264_gets_vp8_of_the_same_camera(opened: Opened) -> None:
    one, _ = opened.watched()
    other, number = opened.watched("VP8")
    await one.gets(5)
    await other.gets(5)
    assert all(code is not None for code in one.codes() + other.codes("VP8"))
    assert opened.board.encoders == 1
    opened.source.leave(number)
    await until(lambda: not encoding_threads(), "VP8 is made no more")
    copied = opened.board.copied
    await one.gets(5)
    assert opened.board.copied <= copied + 1, "one may have been asked for by then"


async def test_a_camera_upside_down_is_turned_once_for_h264_and_for_vp8(board: Board) -> None:
    camera = pi_camera(board, rotation=180)
    working_encoder(camera)
    source = VideoSource(fps=FPS, rotation=left_to_turn(180, turned=camera.turns), camera=camera)
    await asyncio.to_thread(camera.open, source.deliver, lambda why: None)
    for codec in ("H264", "VP8"):
        viewer = Watching()
        source.join(viewer, codec)
        await viewer.gets(1)
        upright = luma_of(decoded(codec, viewer.packets)[0])[::-1, ::-1]
        assert read_code(upright) is not None, codec
    await source.close()
    await asyncio.to_thread(camera.close)


@pytest.mark.parametrize(("wanted", "turned", "left"), [(0, 0, 0), (180, 180, 0), (90, 0, 90), (90, 180, 270)])
def test_what_the_camera_does_not_turn_is_left_to_be_turned(wanted: Rotation, turned: Rotation, left: int) -> None:
    assert left_to_turn(wanted, turned=turned) == left


async def test_a_bad_path_gets_half_the_size_and_then_half_the_pictures(board: Board) -> None:
    async with Opened(board, size=(640, 384)) as opened:
        viewer, number = opened.watched()
        await viewer.gets(2)
        opened.source.report(number, Report(remb_bps=150_000))
        assert opened.source.target == Target(142_500, 0.5, FPS)
        await until(lambda: width_of(viewer) == 320, "half the size")
        opened.source.report(number, Report(remb_bps=90_000))
        assert opened.source.target == Target(85_500, 0.5, FPS // 2)
        await until(lambda: viewer.packets[-1].pts - viewer.packets[-2].pts > 1.5 * CLOCK / FPS, "every second one")
        assert opened.board.started == 3, "the trial's, the whole size's, half the size's"


def width_of(viewer: Watching) -> int:
    last = max(at for at, one in enumerate(viewer.packets) if one.keyframe)
    return decoded("H264", viewer.packets[last:])[-1].width


# -- what fails


async def test_a_key_frame_that_does_not_come_costs_a_new_start(opened: Opened, board: Board) -> None:
    viewer, number = opened.watched()
    await viewer.gets(3)
    board.keyframes_late_by = 1000
    asked_at = len(viewer.packets)
    opened.source.request_keyframe(number)
    await until(lambda: viewer.keyframes == 2, "the new start's")
    at = max(number for number, one in enumerate(viewer.packets) if one.keyframe)
    assert LATE_PICTURES <= at - asked_at <= LATE_PICTURES + 2 * SOON_PICTURES
    assert board.started == 3
    assert codes_that_count(viewer)


async def test_a_key_frame_that_is_a_little_late_is_waited_for(opened: Opened, board: Board) -> None:
    viewer, number = opened.watched()
    await viewer.gets(3)
    board.keyframes_late_by = 5
    opened.source.request_keyframe(number)
    await until(lambda: viewer.keyframes == 2, "it comes")
    assert board.started == 2


@pytest.mark.parametrize("fault", ["falls silent", "cannot be started", "gives no headers"])
async def test_an_encoder_that_fails_is_replaced_in_the_same_call(
    opened: Opened, board: Board, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    match fault:
        case "cannot be started":
            board.encodes = False
        case "gives no headers":
            board.headers = "lost"
    viewer, number = opened.watched()
    if fault == "falls silent":
        await viewer.gets(3)
        board.encoder_works = False
    await until(lambda: bool(encoding_threads()), "we encode ourselves")
    before = viewer.keyframes
    await until(lambda: viewer.keyframes > before, "beginning with a key frame")
    await viewer.gets(5)
    begin = next(at for at, one in enumerate(viewer.packets) if one.keyframe)
    assert decoded("H264", viewer.packets[begin:])
    assert opened.source.codecs == ("H264", "VP8")
    assert "H264 by us from now on" in caplog.text
    opened.source.leave(number)
    await until(lambda: not encoding_threads(), "nobody watches")


async def test_without_libx264_h264_is_offered_as_long_as_the_camera_makes_it(board: Board) -> None:
    async with Opened(board, makers={"VP8": Vp8Encoder}) as opened:
        assert opened.source.codecs == ("H264", "VP8")
        viewer, _ = opened.watched()
        await viewer.gets(3)
        board.encoder_works = False
        await until(lambda: opened.source.codecs == ("VP8",), "it is offered no more")
        other, _ = opened.watched("VP8")
        await other.gets(2)


async def test_the_next_call_tries_the_encoder_again(opened: Opened, board: Board) -> None:
    board.encodes = False
    viewer, _ = opened.watched()
    await viewer.gets(2)
    await opened.source.close()
    board.encodes = True
    opened.source = VideoSource(fps=FPS, camera=opened.camera)
    again, _ = opened.watched()
    await again.gets(5)
    assert board.encoders == 1
    assert not encoding_threads()


def test_what_cannot_encode_is_told_once_and_used_as_any_camera(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    board.encodes = False
    assert working_encoder(pi_camera(board)) is None
    assert working_encoder(pi_camera(board, rotation=90)) is None
    assert working_encoder(MovingPicture(width=WIDTH, height=HEIGHT, fps=FPS)) is None
    assert working_encoder(None) is None
    told = [record.getMessage() for record in caplog.records if "not encoded by the camera" in record.getMessage()]
    assert len(told) == 2
    assert "/dev/video11" in told[0]
    assert "on its side" in told[1]


# -- whole calls, with aiortc at the other end


class Seats:
    """A bed's camera and sound, and as many seats as watch."""

    def __init__(self, source: VideoSource, camera: Any, count: int) -> None:
        self.source = source
        self.events: list[MediaEvent | DeviceEvent] = []
        self.devices = CallDevices(
            camera=camera,
            microphone=ToneMicrophone(440.0),
            speaker=None,
            tell=self.events.append,
            reopen_s=0.1,
        )
        self.devices.open(video=True)
        self.peers = [AnsweringPeer(hz=660.0) for _ in range(count)]
        self.sessions = [
            MediaSession(
                call_type=CallType.VIDEO,
                devices=self.devices,
                ice_servers=(),
                on_event=self.events.append,
                log_id=f"seat {number}",
                pictures=source,
            )
            for number in range(count)
        ]

    async def __aenter__(self) -> Seats:
        for session, peer in zip(self.sessions, self.peers, strict=True):
            await session.answer(await peer.answer(await session.offer()))
        await until(lambda: self.events.count(MediaConnected()) == len(self.peers), "connected")
        for session in self.sessions:
            session.open_gate()
        return self

    async def __aexit__(self, *why: object) -> None:
        await asyncio.gather(*(session.close() for session in self.sessions))
        await asyncio.gather(*(peer.close() for peer in self.peers))
        await self.source.close()
        await self.devices.close()

    async def see(self) -> None:
        """Each sees ten pictures that it has not seen yet."""
        for peer in self.peers:
            seen = set(peer.codes)
            await until(lambda peer=peer, seen=seen: len(peer.codes - seen) > 10, "pictures go on")  # type: ignore[misc]


@pytest.fixture
def loopback() -> None:
    prepare_media([LOOPBACK])


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("count", [1, 4])
async def test_seats_decode_what_the_camera_encoded(board: Board, count: int) -> None:
    camera = pi_camera(board)
    working_encoder(camera)
    async with Seats(VideoSource(fps=FPS, camera=camera), camera, count) as seats:
        await seats.see()
        assert board.encoders == 1
        assert board.copied == 0
        assert not encoding_threads()
    assert (board.opened, board.encoders) == (0, 0)


@pytest.mark.usefixtures("loopback")
async def test_a_seat_that_reports_a_lost_picture_gets_a_key_frame_from_the_hardware(board: Board) -> None:
    camera = pi_camera(board)
    working_encoder(camera)
    source = VideoSource(fps=FPS, camera=camera)
    async with Seats(source, camera, 1) as seats:
        await seats.see()
        watching = Watching()
        source.join(watching, "H264")
        await until(lambda: watching.keyframes == 1, "its own")
        receiver = next(one for one in seats.peers[0]._pc.getReceivers() if one.track.kind == "video")
        asked_at = len(watching.packets)
        await until(lambda: ssrc_of(receiver) is not None, "it knows whom to ask")
        await receiver._send_rtcp_pli(ssrc_of(receiver))
        await until(lambda: watching.keyframes == 2, "what the seat has asked for")
        at = max(number for number, one in enumerate(watching.packets) if one.keyframe)
        # KEYFRAME_GAP_S is 9 pictures: the one for the new viewer may have been just now.
        assert at - asked_at <= 9 + SOON_PICTURES


def ssrc_of(receiver: RTCRtpReceiver) -> Any:
    """The stream that the receiver decodes."""
    return next(iter(receiver._RTCRtpReceiver__active_ssrc), None)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("loopback")
async def test_a_ribbon_that_slips_out_and_is_put_back_shows_the_patient_again(board: Board) -> None:
    camera = pi_camera(board)
    working_encoder(camera)
    async with Seats(VideoSource(fps=FPS, camera=camera), camera, 1) as seats:
        await seats.see()
        board.plugged = False
        await until(lambda: any(isinstance(one, DeviceFault) for one in seats.events), "it is told")
        opened = seats.events.count(DeviceOpened("camera"))
        board.plugged = True
        await until(lambda: seats.events.count(DeviceOpened("camera")) > opened, "it is back")
        await seats.see()
        assert board.encoders == 1, "by the hardware, as before"
        assert not encoding_threads()
        assert seats.events.count(MediaConnected()) == 1, "the same connection"


@pytest.mark.usefixtures("loopback")
async def test_a_raw_camera_that_is_unplugged_and_plugged_in_again_is_seen_again() -> None:
    camera = MovingPicture(width=WIDTH, height=HEIGHT, fps=FPS, vanish_after=45)
    async with Seats(VideoSource(fps=FPS), camera, 1) as seats:
        await until(lambda: any(isinstance(one, DeviceFault) for one in seats.events), "it is told")
        opened = seats.events.count(DeviceOpened("camera"))
        await until(lambda: seats.events.count(DeviceOpened("camera")) > opened, "it is back")
        frames = seats.peers[0].frames
        await until(lambda: seats.peers[0].frames > frames + 10, "pictures go on in the same call")
        assert seats.events.count(MediaConnected()) == 1


@pytest.mark.usefixtures("loopback")
async def test_pictures_that_are_switched_off_let_encoder_and_camera_go(board: Board) -> None:
    camera = pi_camera(board)
    working_encoder(camera)
    async with Seats(VideoSource(fps=FPS, camera=camera), camera, 1) as seats:
        await seats.see()
        seats.sessions[0].switch_to_audio()
        seats.devices.let_camera_go()
        await until(lambda: (board.opened, board.encoders) == (0, 0), "both are let go")
        async with asyncio.timeout(HANG_S):
            await seats.peers[0].enough_sound.wait()
