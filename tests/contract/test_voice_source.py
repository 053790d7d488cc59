"""The bed's voice for several listeners: encoded once, for the worst of their paths, with a clock that goes on."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from kiosk.errors import MediaError
from kiosk.hardware.levels import FLOOR_DBFS
from kiosk.hardware.microphone import ToneMicrophone
from kiosk.hardware.sound import BLOCK_SAMPLES, Block
from kiosk.media import voice_source
from kiosk.media.opus_library import LibraryDecoder
from kiosk.media.sent_voice import Protection
from kiosk.media.tracks import Gate, VoiceTrack
from kiosk.media.voice_source import Spoken, VoiceSource
from tests.waiting import until

LOUD: Block = np.full(BLOCK_SAMPLES, 8000, np.int16)


class Counting:
    """An encoder that says what it was asked."""

    made: list[Counting] = []  # noqa: RUF012  (of one test, see the fixture)

    def __init__(self) -> None:
        self.made.append(self)
        self.blocks = 0
        self.protection = Protection()
        self.fails = False

    def protect(self, protection: Protection) -> None:
        self.protection = protection

    def encode(self, block: Block) -> bytes:
        if self.fails:
            raise MediaError("no more")
        self.blocks += 1
        return bytes([self.blocks % 256])


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    monkeypatch.setattr(Counting, "made", [])
    monkeypatch.setattr(voice_source, "new_sender", Counting)
    return Counting


class Listening:
    def __init__(self) -> None:
        self.spoken: list[Spoken] = []
        self.threads: set[int] = set()

    def take(self, spoken: Spoken) -> None:
        self.spoken.append(spoken)
        self.threads.add(threading.get_ident())


async def speaks(source: VoiceSource, blocks: int, *, lifted_db: float = 0.0) -> None:
    """As a microphone does, on a thread of its own."""

    def deliver() -> None:
        for _ in range(blocks):
            source.deliver(LOUD, lifted_db=lifted_db)

    await asyncio.to_thread(deliver)
    await asyncio.sleep(0)  # what crossed into the loop is fanned out


async def test_a_block_is_encoded_once_and_each_listener_gets_the_same(counting: type[Counting]) -> None:
    source = VoiceSource()
    listeners = [Listening() for _ in range(4)]
    for listener in listeners:
        source.join(listener)
    await speaks(source, 10)
    assert [encoder.blocks for encoder in counting.made] == [10]
    for listener in listeners:
        assert listener.spoken == listeners[0].spoken
        assert len(listener.spoken) == 10
        assert listener.threads == {threading.get_ident()}
    times = [spoken.pts for spoken in listeners[0].spoken]
    assert times == list(range(times[0], times[0] + 10 * BLOCK_SAMPLES, BLOCK_SAMPLES))
    for listener in listeners:
        source.leave(listener)


async def test_nothing_is_encoded_while_nobody_listens(counting: type[Counting]) -> None:
    source, listener = VoiceSource(), Listening()
    await speaks(source, 5)
    assert not counting.made
    source.join(listener)
    source.leave(listener)
    source.leave(listener)
    await speaks(source, 5)
    assert counting.made[0].blocks == 0
    assert not listener.spoken


async def test_who_leaves_gets_no_more_and_the_others_go_on(counting: type[Counting]) -> None:
    source, one, two = VoiceSource(), Listening(), Listening()
    source.join(one)
    source.join(two)
    await speaks(source, 3)
    source.leave(one)
    await speaks(source, 4)
    assert (len(one.spoken), len(two.spoken)) == (3, 7)
    assert len(counting.made) == 1, "the encoder goes on: a new one would be heard"
    source.leave(two)


async def test_the_worst_path_decides_how_strongly_the_voice_is_protected(counting: type[Counting]) -> None:
    source, one, two = VoiceSource(), Listening(), Listening()
    source.join(one)
    source.join(two)
    source.protect(one, Protection(9.0))
    source.protect(two, Protection(22.0))
    assert counting.made[0].protection == Protection(22.0)
    source.protect(one, Protection(7.0))
    assert counting.made[0].protection == Protection(22.0)
    source.leave(two)
    assert counting.made[0].protection == Protection(7.0)
    source.protect(two, Protection(30.0))
    assert counting.made[0].protection == Protection(7.0), "who has left is not heeded"
    source.leave(one)


async def test_how_loud_it_was_is_told_without_what_it_was_lifted_by(counting: type[Counting]) -> None:
    source, listener = VoiceSource(), Listening()
    source.join(listener)
    await speaks(source, 1)
    await speaks(source, 1, lifted_db=12.0)
    assert listener.spoken[0].dbfs - listener.spoken[1].dbfs == pytest.approx(12.0)
    source.leave(listener)


async def test_without_a_microphone_the_clock_goes_on_in_silence() -> None:
    source, listener = VoiceSource(), Listening()
    loop = asyncio.get_running_loop()
    source.join(listener)
    began = loop.time()
    await until(lambda: len(listener.spoken) >= 25, "half a second of it")
    source.leave(listener)
    told_s = (listener.spoken[-1].pts - listener.spoken[0].pts) / 48_000
    assert told_s <= loop.time() - began + 0.1, "never more than the time that has passed"
    decoder = LibraryDecoder()
    assert not any(np.abs(decoder.decode(spoken.packet)).max() > 10 for spoken in listener.spoken)
    assert {spoken.dbfs for spoken in listener.spoken} == {FLOOR_DBFS}


async def test_a_microphone_that_speaks_is_not_mixed_with_silence(counting: type[Counting]) -> None:
    source, listener = VoiceSource(), Listening()
    microphone = ToneMicrophone(440.0)
    source.join(listener)
    microphone.open(source.deliver, lambda words: None)
    await until(lambda: any(spoken.dbfs > -40 for spoken in listener.spoken), "the microphone is heard")
    first = next(at for at, spoken in enumerate(listener.spoken) if spoken.dbfs > -40)
    await until(lambda: len(listener.spoken) > first + 50, "and for a second")
    levels = [spoken.dbfs for spoken in listener.spoken[first:]]
    assert levels.count(FLOOR_DBFS) < len(levels) / 2, "silence stands only for what did not come"
    await asyncio.to_thread(microphone.close)
    source.leave(listener)


async def test_a_track_that_ends_as_its_gate_opens_listens_to_nothing(counting: type[Counting]) -> None:
    source, gate = VoiceSource(), Gate()
    track = VoiceTrack(gate, source, meter=lambda dbfs: None)
    reading = asyncio.create_task(track.spoken())
    await asyncio.sleep(0)  # one turn of the loop: it waits at the gate
    gate.open()
    track.stop()
    with pytest.raises(MediaStreamError):
        await reading
    assert not counting.made, "nobody listens"


async def test_an_encoder_that_fails_is_told_once_and_harms_no_device(
    counting: type[Counting], caplog: pytest.LogCaptureFixture
) -> None:
    source, listener = VoiceSource(), Listening()
    source.join(listener)
    counting.made[0].fails = True
    await speaks(source, 5)
    assert caplog.text.count("the bed's voice cannot be sent: no more") == 1
    counting.made[0].fails = False
    await speaks(source, 1)
    assert len(listener.spoken) == 1
    source.leave(listener)
