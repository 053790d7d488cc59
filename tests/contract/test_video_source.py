"""One encode for all viewers: each sees a whole picture, and one that is slow or unlucky harms no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import av
import pytest

from kiosk.errors import MediaError
from kiosk.hardware.camera import Rotation
from kiosk.hardware.moving_picture import MovingPicture, read_code
from kiosk.media.answering_peer import luma_of
from kiosk.media.encoders import (
    CLOCK,
    SOFTWARE,
    Encoded,
    Encoder,
    MakeEncoder,
    Shape,
    VideoCodec,
    Vp8Encoder,
    X264Encoder,
    working_makers,
)
from kiosk.media.encoding_thread import MAX_FAILURES
from kiosk.media.rate_control import Report
from kiosk.media.tracks import Gate
from kiosk.media.video_source import VideoSource
from kiosk.media.viewer import MAX_QUEUED, PacketQueue, VideoViewer
from tests.waiting import HANG_S, until

WIDTH, HEIGHT, FPS = 320, 192, 30
SHAPE = Shape(WIDTH, HEIGHT, FPS, 600_000)
NAL_TYPES = {1: "picture", 5: "key", 6: "sei", 7: "sps", 8: "pps"}
DECODERS = {"H264": "h264", "VP8": "vp8"}


def film() -> MovingPicture:
    return MovingPicture(width=WIDTH, height=HEIGHT, fps=FPS)


def decoded(codec: VideoCodec, packets: list[Encoded]) -> list[av.VideoFrame]:
    decoder: Any = av.CodecContext.create(DECODERS[codec], "r")
    frames: list[av.VideoFrame] = []
    for packet in packets:
        frames += decoder.decode(av.Packet(packet.data))
    return frames


def nal_units(data: bytes) -> list[str]:
    return [NAL_TYPES[part[0] & 31] for part in data.split(b"\x00\x00\x01")[1:]]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert not encoding_threads()


def encoding_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("video ")]


# -- the encoders


@pytest.fixture(params=[X264Encoder, Vp8Encoder])
def encoder(request: pytest.FixtureRequest) -> Iterator[Encoder]:
    made: Encoder = request.param(SHAPE, 300_000)
    yield made
    made.close()
    made.close()


def encode(encoder: Encoder, counters: range) -> list[Encoded]:
    camera = film()
    return [one for n in counters for one in encoder.encode(camera.frame(n), pts=n * CLOCK // FPS)]


def test_each_picture_goes_in_and_comes_out_at_once_with_its_code(encoder: Encoder) -> None:
    packets = encode(encoder, range(20))
    assert [packet.pts for packet in packets] == [n * CLOCK // FPS for n in range(20)]
    assert [packet.keyframe for packet in packets] == [True] + [False] * 19
    assert [read_code(luma_of(frame)) for frame in decoded(encoder.codec, packets)] == list(range(20))


def test_a_key_frame_comes_with_the_next_picture_and_stands_alone(encoder: Encoder) -> None:
    encode(encoder, range(5))
    encoder.request_keyframe()
    packets = encode(encoder, range(5, 8))
    assert [packet.keyframe for packet in packets] == [True, False, False]
    assert [read_code(luma_of(frame)) for frame in decoded(encoder.codec, packets)] == [5, 6, 7]


def test_h264_repeats_its_headers_with_each_key_frame() -> None:
    encoder = X264Encoder(SHAPE, 300_000)
    encode(encoder, range(3))
    encoder.request_keyframe()
    key, other = encode(encoder, range(3, 5))
    units = nal_units(key.data)
    assert units[:2] == ["sps", "pps"]
    assert "key" in units
    assert set(nal_units(other.data)) == {"picture"}
    encoder.close()


def test_h264_takes_another_bit_rate_without_a_key_frame() -> None:
    encoder = X264Encoder(Shape(WIDTH, HEIGHT, FPS, 2_000_000), 100_000)
    few = encode(encoder, range(60))[30:]
    encoder.set_bit_rate(1_500_000)
    many = encode(encoder, range(60, 120))[30:]
    assert not any(packet.keyframe for packet in few + many)
    assert sum(len(packet.data) for packet in many) > 1.5 * sum(len(packet.data) for packet in few)
    encoder.close()


def test_a_closed_encoder_says_so(encoder: Encoder) -> None:
    encoder.close()
    with pytest.raises(MediaError, match="closed"):
        encode(encoder, range(1))


def test_an_encoder_that_cannot_be_made_says_so() -> None:
    with pytest.raises(MediaError, match="cannot be opened"):
        X264Encoder(Shape(3, 3, 30, 1), 1)


def test_encoders_are_tried_and_those_that_fail_are_left_out() -> None:
    def broken(shape: Shape, bps: int) -> Encoder:
        raise MediaError("no such encoder")

    makers: dict[VideoCodec, MakeEncoder] = {"H264": broken, "VP8": Vp8Encoder}
    assert list(working_makers(makers)) == ["VP8"]
    assert list(working_makers()) == ["H264", "VP8"]


# -- the queue of a viewer


def packet(number: int, *, keyframe: bool = False) -> Encoded:
    return Encoded(bytes([number]), number, keyframe)


def test_a_queue_begins_with_a_key_frame() -> None:
    queue = PacketQueue()
    assert not queue.put(packet(0))
    assert queue.put(packet(1, keyframe=True))
    assert queue.put(packet(2))
    assert [queue.get().pts for _ in range(len(queue))] == [1, 2]


def test_a_full_queue_is_given_up_whole_until_the_next_key_frame() -> None:
    queue = PacketQueue(limit=3)
    assert all(queue.put(packet(n, keyframe=n == 0)) for n in range(3))
    assert not queue.put(packet(3))
    assert len(queue) == 0
    assert not queue.put(packet(4)), "a picture that leans on a lost one is none"
    assert queue.put(packet(5, keyframe=True))
    assert queue.get().pts == 5


def test_a_key_frame_makes_room_for_itself() -> None:
    queue = PacketQueue(limit=2)
    for n in range(2):
        queue.put(packet(n, keyframe=n == 0))
    assert queue.put(packet(2, keyframe=True))
    assert [queue.get().pts for _ in range(len(queue))] == [2]


# -- the source


class Watching:
    """A viewer that keeps what it gets, as a connection that keeps up does."""

    def __init__(self) -> None:
        self.packets: list[Encoded] = []
        self.shown: list[bool] = []
        self.whole = True

    def take(self, encoded: Encoded) -> bool:
        if self.whole:
            self.packets.append(encoded)
        return self.whole

    def show(self, shown: bool) -> None:
        self.shown.append(shown)

    def codes(self, codec: VideoCodec = "H264") -> list[int | None]:
        return [read_code(luma_of(frame)) for frame in decoded(codec, list(self.packets))]

    async def gets(self, count: int) -> None:
        enough = len(self.packets) + count
        await until(lambda: len(self.packets) >= enough, f"{count} more pictures")

    @property
    def keyframes(self) -> int:
        return sum(one.keyframe for one in self.packets)


class Counting:
    """Makers that count what they make and encode."""

    def __init__(self) -> None:
        self.made: list[Shape] = []
        self.encoded = 0

    def makers(self) -> dict[VideoCodec, MakeEncoder]:
        return {codec: self._maker(make) for codec, make in SOFTWARE.items()}

    def _maker(self, make: MakeEncoder) -> MakeEncoder:
        def counted(shape: Shape, bps: int) -> Encoder:
            self.made.append(shape)
            return make(shape, bps)

        return counted


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
async def source(counting: Counting) -> AsyncIterator[VideoSource]:
    source = VideoSource(fps=FPS, makers=counting.makers())
    camera = film()
    camera.open(source.deliver, lambda why: None)
    yield source
    await asyncio.to_thread(camera.close)
    await source.close()
    await source.close()


async def test_all_viewers_of_a_codec_get_the_same_packets_of_one_encoder(
    source: VideoSource, counting: Counting
) -> None:
    viewers = [Watching() for _ in range(4)]
    for viewer in viewers:
        source.join(viewer, "H264")
    await viewers[0].gets(10)
    assert len(counting.made) == 1
    last = viewers[3].packets
    assert last == viewers[0].packets[-len(last) :]
    assert all(code is not None for code in viewers[0].codes())


async def test_who_joins_later_begins_with_a_key_frame(source: VideoSource) -> None:
    first, late = Watching(), Watching()
    source.join(first, "H264")
    await first.gets(5)
    before = first.keyframes
    source.join(late, "H264")
    await until(lambda: late.keyframes > 0, "a key frame for the new one")
    assert first.keyframes > before


async def test_a_seat_without_h264_gets_vp8_beside_the_others(source: VideoSource, counting: Counting) -> None:
    one, other = Watching(), Watching()
    source.join(one, "H264")
    source.join(other, "VP8")
    await one.gets(5)
    await other.gets(5)
    assert len(counting.made) == 2
    assert all(code is not None for code in one.codes() + other.codes("VP8"))


async def test_a_lost_picture_is_asked_for_and_many_askings_are_answered_few_times(source: VideoSource) -> None:
    viewer = Watching()
    number = source.join(viewer, "H264")
    await viewer.gets(3)
    before = viewer.keyframes
    for _ in range(15):
        source.request_keyframe(number)
        await viewer.gets(1)
    await until(lambda: viewer.keyframes > before, "a key frame")
    assert viewer.keyframes - before <= 4, "15 askings in half a second"


async def test_a_viewer_that_cannot_keep_up_asks_and_the_others_see_on(source: VideoSource) -> None:
    slow, quick = Watching(), Watching()
    source.join(quick, "H264")
    source.join(slow, "H264")
    slow.whole = False
    before = quick.keyframes
    await quick.gets(5)
    await until(lambda: quick.keyframes > before, "the key frame that the slow one needs")
    assert all(code is not None for code in quick.codes())


async def test_nobody_watches_and_nothing_is_encoded(source: VideoSource) -> None:
    viewer = Watching()
    number = source.join(viewer, "H264")
    await viewer.gets(2)
    source.leave(number)
    source.leave(number)
    source.request_keyframe(number)
    assert source.target is None
    await until(lambda: not encoding_threads(), "the thread ends")


async def test_fewer_bits_make_a_smaller_picture(source: VideoSource, counting: Counting) -> None:
    viewer = Watching()
    number = source.join(viewer, "H264")
    await viewer.gets(2)
    source.report(number, Report(remb_bps=90_000))
    await until(lambda: counting.made[-1].width == WIDTH // 2, "half the size")
    await viewer.gets(5)
    assert luma_of(decoded("H264", viewer.packets)[-1]).shape[1] == WIDTH // 2


async def test_a_hopeless_path_gets_sound_alone_and_the_others_pictures(source: VideoSource) -> None:
    hopeless, well = Watching(), Watching()
    number = source.join(hopeless, "H264")
    source.join(well, "H264")
    await well.gets(2)
    source.report(number, Report(remb_bps=10_000))
    await until(lambda: hopeless.shown == [False], "it has gone on for long enough")
    got = len(hopeless.packets)
    await well.gets(5)
    assert len(hopeless.packets) == got
    assert well.shown == []


async def test_a_camera_that_vanishes_and_returns_with_another_size_is_seen_again(counting: Counting) -> None:
    source = VideoSource(fps=FPS, makers=counting.makers())
    viewer = Watching()
    source.join(viewer, "H264")
    camera = MovingPicture(width=WIDTH, height=HEIGHT, fps=FPS, vanish_after=5)
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()

    def went(why: str) -> None:
        loop.call_soon_threadsafe(gone.set)

    camera.open(source.deliver, went)
    async with asyncio.timeout(HANG_S):
        await gone.wait()
    returned = MovingPicture(width=WIDTH * 2, height=HEIGHT * 2, fps=FPS)
    returned.open(source.deliver, lambda why: None)
    await until(lambda: counting.made[-1].width == WIDTH * 2, "the other size")
    await viewer.gets(3)
    assert viewer.codes()[-1] is not None
    await asyncio.to_thread(returned.close)
    await asyncio.to_thread(camera.close)
    await source.close()


@pytest.mark.parametrize("rotation", [90, 180, 270])
async def test_a_camera_that_hangs_otherwise_is_turned(rotation: Rotation) -> None:
    source = VideoSource(fps=FPS, rotation=rotation)
    viewer = Watching()
    source.join(viewer, "H264")
    source.deliver(film().frame(77))
    await viewer.gets(1)
    (shown, *_) = decoded("H264", viewer.packets)
    assert (shown.width, shown.height) == ((WIDTH, HEIGHT) if rotation == 180 else (HEIGHT, WIDTH))
    upright = luma_of(shown)
    for _ in range(rotation // 90):
        upright = upright.swapaxes(0, 1)[::-1]
    assert read_code(upright) == 77
    await source.close()


async def test_an_encoder_that_fails_again_and_again_is_given_up() -> None:
    failures = 0

    def failing(shape: Shape, bps: int) -> Encoder:
        nonlocal failures
        failures += 1
        raise MediaError("the encoder is gone")

    source = VideoSource(fps=FPS, makers={"H264": failing})
    source.join(Watching(), "H264")
    camera = film()
    camera.open(source.deliver, lambda why: None)
    await until(lambda: failures > 0 and not encoding_threads(), "given up")
    assert failures <= MAX_FAILURES
    await asyncio.to_thread(camera.close)
    await source.close()


# -- the track


async def test_a_track_gives_packets_once_the_gate_is_open_and_leaves_when_it_ends(source: VideoSource) -> None:
    gate = Gate()
    track = VideoViewer(gate, source, codec=lambda: "H264")
    first = asyncio.create_task(track.recv())
    await asyncio.sleep(0)  # one turn of the loop: it waits at the gate
    assert source.target is None
    gate.open()
    async with asyncio.timeout(HANG_S):
        packet = await first
        following = await track.recv()
    assert packet.is_keyframe
    assert following.pts is not None
    assert packet.pts is not None
    assert following.pts > packet.pts
    track.enable(False)
    assert source.target is None, "a viewer that is held back does not watch"
    track.enable(True)
    async with asyncio.timeout(HANG_S):
        assert (await track.recv()).is_keyframe
    track.stop()
    assert source.target is None


async def test_a_track_that_nobody_reads_holds_no_more_than_its_queue(source: VideoSource) -> None:
    gate = Gate()
    gate.open()
    track, beside = VideoViewer(gate, source, codec=lambda: "H264"), Watching()
    async with asyncio.timeout(HANG_S):
        await track.recv()
    source.join(beside, "H264")
    await beside.gets(MAX_QUEUED * 2)
    async with asyncio.timeout(HANG_S):
        held = [await track.recv() for _ in range(2)]
    assert held[0].is_keyframe, "what was given up is given up whole"
    track.stop()
