"""Received sound through the real decoders: what is lost is filled, what is mended is the sound, nothing clicks."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import random
import threading
from collections.abc import AsyncIterator, Callable, Sequence, Set
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kiosk.bench.network_traces import OUTAGE_LATE, Trace, traces
from kiosk.bench.playout import speech
from kiosk.errors import MediaError
from kiosk.hardware.levels import rms_dbfs
from kiosk.hardware.sound import BLOCK_SAMPLES, SAMPLE_RATE, Block
from kiosk.hardware.speaker import SimulatedSpeaker
from kiosk.media import opus_library
from kiosk.media.call_devices import CallDevices
from kiosk.media.opus_decoder import OpusDecoder, PlainDecoder, new_decoder
from kiosk.media.opus_library import LibraryDecoder
from kiosk.media.opus_packet import inspect
from kiosk.media.playout_words import Arrived, Report, Step
from kiosk.media.received_sound import ReceivedSound
from kiosk.media.seat_sound import SeatSound, in_words
from tests.waiting import HANG_S, until

PACKET_S = 0.02
Make = Callable[[], OpusDecoder]
DECODERS: list[Make] = [LibraryDecoder, PlainDecoder]
Bands = NDArray[np.float64]


@pytest.fixture(scope="module")
def packets() -> list[bytes]:
    """Six seconds of speech."""
    return speech(6)


def heard(packets: Sequence[bytes], decoder: OpusDecoder, *, lost: Set[int] = frozenset()) -> tuple[Block, Report]:
    """*packets* over a network that delays each by nothing and loses *lost*."""
    sound = ReceivedSound(decoder)
    blocks = []
    for number, payload in enumerate(packets):
        at = number * PACKET_S
        if number not in lost:
            sound.take(Arrived(1, number, number * BLOCK_SAMPLES, at, payload))
        blocks.append(sound.pull(at=at + 0.001))
    return np.concatenate(blocks), sound.report


# -- the decoders


@pytest.mark.parametrize("decoder", DECODERS)
def test_speech_is_decoded_and_its_gaps_are_filled(packets: list[bytes], decoder: Make) -> None:
    lost = set(range(20, 300, 10))
    sound, report = heard(packets, decoder(), lost=lost)
    whole, _ = heard(packets, decoder())
    assert len(sound) == len(packets) * BLOCK_SAMPLES
    assert report.lost == len(lost)
    assert report.silent == 0
    assert rms_dbfs(sound) == pytest.approx(rms_dbfs(whole), abs=1.5)


@pytest.mark.parametrize("decoder", DECODERS)
def test_garbage_is_an_error_in_words_and_the_decoder_goes_on(packets: list[bytes], decoder: Make) -> None:
    made = decoder()
    with pytest.raises(MediaError, match="not understood"):
        made.decode(b"\xff\xff\xff")
    assert len(made.decode(packets[30])) == BLOCK_SAMPLES
    made.reset()
    assert len(made.decode(packets[31])) == BLOCK_SAMPLES


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("samples", [1, 100, 120, 960, 2880])
def test_concealment_has_the_length_that_is_missing(packets: list[bytes], decoder: Make, samples: int) -> None:
    made = decoder()
    made.decode(packets[30])
    assert len(made.conceal(samples)) == samples


def test_concealment_fades_in_the_plain_decoder_too(packets: list[bytes]) -> None:
    made = PlainDecoder()
    for payload in packets[30:40]:
        made.decode(payload)
    levels = [rms_dbfs(made.conceal(BLOCK_SAMPLES)) for _ in range(4)]
    assert levels == sorted(levels, reverse=True)


def test_what_is_mended_is_the_lost_sound_itself(packets: list[bytes]) -> None:
    """Nearer to it than what concealment makes up, over all packets that carry a copy."""
    mended, concealed, true = LibraryDecoder(), LibraryDecoder(), LibraryDecoder()
    nearer = compared = 0
    for number in range(10, 290):
        found = inspect(packets[number + 1])
        if found is None or not found.mends or number % 4:
            continue
        for decoder in (mended, concealed, true):
            decoder.reset()
            for payload in packets[number - 10 : number]:
                decoder.decode(payload)
        wanted = spectrum(true.decode(packets[number]))
        copy = spectrum(mended.mend(packets[number + 1], BLOCK_SAMPLES))
        guess = spectrum(concealed.conceal(BLOCK_SAMPLES))
        nearer += distance(copy, wanted) < distance(guess, wanted)
        compared += 1
    assert compared > 30
    assert nearer > 0.6 * compared


def spectrum(block: Block) -> Bands:
    power = np.abs(np.fft.rfft(block.astype(np.float64) * np.hanning(len(block)))) ** 2
    bands: Bands = np.log10(1.0 + np.add.reduceat(power[:160], np.arange(0, 160, 8)))
    return bands


def distance(one: Bands, other: Bands) -> float:
    return float(np.abs(one - other).mean())


def test_without_the_library_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(name: str) -> ctypes.CDLL:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    opus_library.library.cache_clear()
    try:
        assert isinstance(new_decoder(), PlainDecoder)
    finally:
        opus_library.library.cache_clear()
    assert "install Debian's package libopus0" in caplog.text


def test_the_library_tells_its_version() -> None:
    assert opus_library.version().startswith("libopus 1.")
    assert isinstance(new_decoder(), LibraryDecoder)


# -- playout, decoder and stretching together


@pytest.mark.parametrize("trace", traces(packets=300, chance=random.Random(3)), ids=lambda trace: trace.name)
def test_over_any_network_whole_blocks_come_and_nothing_clicks(packets: list[bytes], trace: Trace) -> None:
    steps: list[Step] = []
    sound = ReceivedSound(LibraryDecoder(), watch=lambda step, at: steps.append(step))
    arrivals = list(trace.arrivals)
    blocks = []
    for number in range(len(packets)):
        at = number * PACKET_S
        while arrivals and arrivals[0].at <= at:
            came = arrivals.pop(0)
            sound.take(Arrived(1, came.index, came.index * BLOCK_SAMPLES, came.at, packets[came.index]))
        blocks.append(sound.pull(at=at))
    assert {len(block) for block in blocks} == {BLOCK_SAMPLES}
    made, whole = np.concatenate(blocks), heard(packets, LibraryDecoder())[0]
    assert steepest(made) <= 2.0 * steepest(whole)
    assert steps


def steepest(sound: Block) -> int:
    return int(np.abs(np.diff(sound.astype(np.int32))).max())


def test_packets_that_no_decoder_understands_are_silence_and_are_told_a_few_times(
    packets: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    class Refusing(LibraryDecoder):
        def decode(self, payload: bytes) -> Block:
            raise MediaError("not understood")

    sound, _ = heard(packets[:50], Refusing())
    assert not sound.any()
    assert caplog.text.count("not understood") == 5


def test_a_stall_ends_in_silence_without_a_step(packets: list[bytes]) -> None:
    """While somebody speaks the network stops for good."""
    whole, _ = heard(packets, LibraryDecoder())
    levels = [rms_dbfs(whole[begin : begin + BLOCK_SAMPLES]) for begin in range(0, len(whole), BLOCK_SAMPLES)]
    loud = 50 + int(np.argmax(levels[50:250]))
    sound, report = heard(packets[: loud + 40], LibraryDecoder(), lost=set(range(loud, loud + 40)))
    assert report.silent > 0
    assert not sound[-BLOCK_SAMPLES:].any()
    tail = sound[loud * BLOCK_SAMPLES :]
    assert steepest(tail) <= 1.5 * steepest(sound[: loud * BLOCK_SAMPLES])


# -- on its way to the speaker


class Packet:
    """What SeatSound takes of an aiortc packet."""

    def __init__(self, number: int, payload: bytes) -> None:
        self.ssrc, self.sequence_number = 1, number
        self.timestamp, self.payload = number * BLOCK_SAMPLES, payload


async def send(sound: SeatSound, packets: Sequence[bytes]) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number, payload in enumerate(packets):
        sound.take(Packet(number, payload))  # type: ignore[arg-type]
        await asyncio.sleep(max(0.0, began + (number + 1) * PACKET_S - loop.time()))


@contextlib.asynccontextmanager
async def heard_by(heard: Callable[[float], None], speaker: SimulatedSpeaker | None) -> AsyncIterator[SeatSound]:
    """A seat's sound while a speaker plays it, or nothing does."""
    devices = CallDevices(camera=None, microphone=None, speaker=speaker, tell=lambda event: None)
    devices.open(video=False)
    sound = SeatSound(heard=heard)
    devices.mix.add(sound)
    try:
        yield sound
    finally:
        devices.mix.remove(sound)
        await devices.close()


async def test_the_speaker_pulls_what_it_plays_and_each_blocks_level_is_told_on_the_loop(
    packets: list[bytes],
) -> None:
    speaker, levels, threads = SimulatedSpeaker(), list[float](), set[int]()

    def take(level: float) -> None:
        levels.append(level)
        threads.add(threading.get_ident())

    async with heard_by(take, speaker) as sound:
        await send(sound, packets[20:100])
        await until(lambda: max(levels) > -40, "speech is heard")
        assert threads == {threading.get_ident()}
        assert speaker.delay_s == 0, "nothing waits between playout and device"
        assert rms_dbfs(speaker.recent()) > -50
    assert "concealed" in in_words(sound.report)


@pytest.mark.parametrize("stalled", [False, True])
async def test_without_a_device_that_pulls_speech_is_noticed_nevertheless(
    packets: list[bytes], stalled: bool
) -> None:
    speaker = SimulatedSpeaker() if stalled else None
    if speaker is not None:
        speaker.stall()
    levels: list[float] = []
    async with heard_by(levels.append, speaker) as sound, asyncio.timeout(HANG_S):
        await send(sound, packets[20:120])
        await until(lambda: max(levels, default=-96.0) > -40, "speech is heard")


@pytest.mark.parametrize("fails", ["take", "pull"])
async def test_a_playout_that_fails_begins_anew_and_speech_is_heard(
    packets: list[bytes], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fails: str
) -> None:
    works, failures = getattr(ReceivedSound, fails), itertools.count()

    def fails_once(self: ReceivedSound, *asked: Any, **more: Any) -> Any:
        if next(failures) == 0:
            raise ZeroDivisionError
        return works(self, *asked, **more)

    monkeypatch.setattr(ReceivedSound, fails, fails_once)
    levels: list[float] = []
    async with heard_by(levels.append, SimulatedSpeaker()) as sound:
        await send(sound, packets[20:120])
        await until(lambda: max(levels) > -40, "speech is heard")
        assert not sound.broken
    assert caplog.text.count("begins anew") == 1


async def test_a_playout_that_always_fails_is_broken_and_the_device_goes_on_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: ReceivedSound, *, at: float, samples: int = 0) -> Block:
        raise ZeroDivisionError

    monkeypatch.setattr(ReceivedSound, "pull", broken)
    speaker = SimulatedSpeaker()
    async with heard_by(lambda level: None, speaker) as sound:
        await until(lambda: len(speaker.recent()) > SAMPLE_RATE // 4, "the device goes on")
        assert sound.broken
    assert caplog.text.count("begins anew") == 3
    assert caplog.text.count("cannot be played") == 1


def test_nothing_received_is_said_so() -> None:
    assert in_words(Report()) == "none"


def test_a_late_outage_is_played_faster_and_not_skipped(packets: list[bytes]) -> None:
    long = packets * 3
    trace = next(trace for trace in traces(packets=len(long), chance=random.Random(4)) if trace.name == OUTAGE_LATE)
    sound = ReceivedSound(LibraryDecoder())
    arrivals = list(trace.arrivals)
    for number in range(len(long)):
        at = number * PACKET_S
        while arrivals and arrivals[0].at <= at:
            came = arrivals.pop(0)
            sound.take(Arrived(1, came.index, came.index * BLOCK_SAMPLES, came.at, long[came.index]))
        sound.pull(at=at)
    assert sound.report.skipped == 0
    assert sound.report.accelerated > SAMPLE_RATE // 5
