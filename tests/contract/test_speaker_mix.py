"""The seats of a talk at one speaker: none mutes another, and the loop is told of each."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from kiosk.hardware.levels import FLOOR_DBFS, rms_dbfs
from kiosk.hardware.sound import BLOCK_SAMPLES, SAMPLE_RATE, Block
from kiosk.hardware.speaker import SimulatedSpeaker
from kiosk.media.received_sound import ReceivedSound
from kiosk.media.seat_sound import SeatSound
from kiosk.media.speaker_mix import SpeakerMix
from tests.waiting import until

LEVEL = 2000


class Steady:
    """A voice of one value."""

    def __init__(self, value: int) -> None:
        self._block: Block = np.full(BLOCK_SAMPLES, value, np.int16)
        self.levels: list[float] = []
        self.threads: set[int] = set()
        self.told_on: set[int] = set()

    def block(self) -> Block:
        self.threads.add(threading.get_ident())
        return self._block

    def heard(self, dbfs: float) -> None:
        self.told_on.add(threading.get_ident())
        self.levels.append(dbfs)


def opened() -> SimulatedSpeaker:
    speaker = SimulatedSpeaker()
    speaker.open(lambda words: None)
    return speaker


def sounds(speaker: SimulatedSpeaker) -> int:
    """The newest sample that was played."""
    recent = speaker.recent()
    return int(recent[-1]) if len(recent) else 0


async def test_all_who_are_in_are_heard_and_those_who_leave_no_more() -> None:
    speaker = opened()
    mix = SpeakerMix(speaker)
    voices = [Steady(LEVEL * factor) for factor in (1, 2, 4)]
    for number, voice in enumerate(voices, 1):
        mix.add(voice)
        await until(lambda number=number: sounds(speaker) == LEVEL * (2**number - 1), "one more")  # type: ignore[misc]
    mix.remove(voices[1])
    mix.remove(voices[1])
    await until(lambda: sounds(speaker) == LEVEL * 5, "without the one who left")
    mix.remove(voices[0])
    mix.remove(voices[2])
    await until(lambda: len(speaker.recent()) > 0 and sounds(speaker) == 0, "nobody")
    speaker.close()
    assert all(voice.told_on == {threading.get_ident()} for voice in voices), "levels come on the loop"
    assert not any(threading.get_ident() in voice.threads for voice in voices), "blocks are taken by the device"
    assert voices[0].levels[-1] == pytest.approx(rms_dbfs(np.full(BLOCK_SAMPLES, LEVEL, np.int16)))


@pytest.mark.parametrize("other", ["silent", "stalled", "broken"])
async def test_one_who_is_silent_stalled_or_broken_mutes_nobody(
    other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: ReceivedSound, *, at: float) -> Block:
        raise ZeroDivisionError

    speaker = opened()
    mix = SpeakerMix(speaker)
    levels: list[float] = []
    # A seat of which nothing arrives gives what its playout makes of nothing.
    mix.add(Steady(0) if other == "silent" else SeatSound(heard=levels.append))
    if other == "broken":
        monkeypatch.setattr(ReceivedSound, "pull", fails)
    voice = Steady(LEVEL)
    mix.add(voice)
    await until(lambda: len(speaker.recent()) == SAMPLE_RATE, "a second of it")
    await until(lambda: set(speaker.recent().tolist()) == {LEVEL}, "every sample of it is the voice")
    assert set(levels) <= {FLOOR_DBFS}
    speaker.close()


async def test_who_joins_before_the_device_is_there_is_heard_when_it_comes() -> None:
    speaker = SimulatedSpeaker()
    mix = SpeakerMix(speaker)
    one, two = Steady(LEVEL), Steady(LEVEL)
    mix.add(one)
    mix.add(two)
    await until(lambda: bool(one.levels) and bool(two.levels), "the loop pulls meanwhile")
    speaker.open(lambda words: None)
    await until(lambda: sounds(speaker) == 2 * LEVEL, "the device plays both")
    mix.remove(one)
    mix.remove(two)
    speaker.close()


async def test_without_a_speaker_each_is_noticed() -> None:
    mix = SpeakerMix(None)
    one, two = Steady(LEVEL), Steady(2 * LEVEL)
    mix.add(one)
    mix.add(two)
    await until(lambda: len(one.levels) > 5 and len(two.levels) > 5, "levels of both")
    mix.remove(one)
    mix.remove(two)
    count = len(two.levels)
    await asyncio.sleep(0)  # what was on its way is told
    assert len(two.levels) <= count + 1
