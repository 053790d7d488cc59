"""Microphones and speakers behave like hardware, the simulated ones too, faults included."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from kiosk.errors import HardwareFault
from kiosk.hardware.levels import FLOOR_DBFS, dominant_tone, rms_dbfs
from kiosk.hardware.microphone import (
    BLOCK_SAMPLES,
    SAMPLE_RATE,
    AlsaMicrophone,
    Block,
    Microphone,
    SampleMicrophone,
    ToneMicrophone,
)
from kiosk.hardware.speaker import QUEUE_BLOCKS, SimulatedSpeaker
from tests.threads import no_thread_left

HANG_S = 20.0


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    with no_thread_left():
        yield


def heard(microphone: Microphone, blocks: int) -> Block:
    taken: queue.Queue[Block] = queue.Queue()
    microphone.open(lambda block: taken.put(block.copy()), lambda why: None)
    sound = np.concatenate([taken.get(timeout=HANG_S) for _ in range(blocks)])
    microphone.close()
    microphone.close()
    return sound


def test_the_tone_is_the_tone() -> None:
    hz, clear = dominant_tone(heard(ToneMicrophone(1000), 25), SAMPLE_RATE)
    assert hz == pytest.approx(1000, abs=3)
    assert clear > 30


def test_the_spoken_sample_speaks() -> None:
    sound = heard(SampleMicrophone(), 20)
    assert len(sound) == 20 * BLOCK_SAMPLES
    assert rms_dbfs(sound) > -45


def test_levels_at_the_edges() -> None:
    silence = np.zeros(960, np.int16)
    assert rms_dbfs(silence) == rms_dbfs(silence[:0]) == FLOOR_DBFS
    assert rms_dbfs(np.full(960, 32767, np.int16)) == pytest.approx(0, abs=0.01)
    assert dominant_tone(silence, SAMPLE_RATE)[1] == 0.0


def test_a_speaker_never_blocks_and_drops_the_oldest() -> None:
    speaker = SimulatedSpeaker()
    for number in range(QUEUE_BLOCKS + 3):
        speaker.play(np.full(BLOCK_SAMPLES, number, np.int16))
    assert speaker.dropped == 3


def test_what_is_played_is_heard() -> None:
    speaker, microphone = SimulatedSpeaker(), ToneMicrophone(700)
    speaker.open(lambda why: None)
    enough = threading.Event()

    def pass_on(block: Block) -> None:
        speaker.play(block)
        if len(speaker.recent()) >= SAMPLE_RATE // 2:
            enough.set()

    microphone.open(pass_on, lambda why: None)
    assert enough.wait(HANG_S)
    microphone.close()
    speaker.close()
    assert dominant_tone(speaker.recent(), SAMPLE_RATE)[0] == pytest.approx(700, abs=5)


def test_a_fed_speaker_asks_for_each_block_at_its_own_pace_and_is_given_blocks_first() -> None:
    speaker, asked = SimulatedSpeaker(), threading.Event()
    blocks: list[Block] = []

    def source() -> Block:
        blocks.append(np.full(BLOCK_SAMPLES, 2, np.int16))
        if len(blocks) == 10:
            asked.set()
        return blocks[-1]

    speaker.feed(source)
    speaker.play(np.full(BLOCK_SAMPLES, 1, np.int16))
    for _ in range(2):  # a speaker that is opened again keeps its source
        asked.clear()
        blocks.clear()
        speaker.open(lambda why: None)
        assert asked.wait(HANG_S)
        assert speaker.delay_s == 0
        speaker.close()
    assert 2 in speaker.recent()
    speaker.feed(None)


def test_a_stalled_speaker_is_told_and_blocks_nobody() -> None:
    speaker, faults = SimulatedSpeaker(), queue.Queue[str]()
    speaker.stall()
    speaker.open(faults.put)
    for _ in range(100):
        speaker.play(np.zeros(BLOCK_SAMPLES, np.int16))
    assert "takes no sound" in faults.get(timeout=HANG_S)
    speaker.close()


def test_a_microphone_that_delivers_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for a USB microphone pulled out, which ALSA shows as failing reads."""

    class Gone(Exception):
        pass

    granted = {"rate": SAMPLE_RATE, "channels": 1, "format": 2}
    fake = SimpleNamespace(
        PCM=lambda **options: SimpleNamespace(read=lambda: (-19, b""), close=lambda: None, info=lambda: granted),
        PCM_CAPTURE=1,
        PCM_NORMAL=0,
        PCM_FORMAT_S16_LE=2,
        ALSAAudioError=Gone,
    )
    monkeypatch.setitem(sys.modules, "alsaaudio", fake)
    faults = queue.Queue[str]()
    microphone = AlsaMicrophone("hw:7")
    microphone.open(lambda block: None, faults.put)
    assert "hw:7 delivers no sound" in faults.get(timeout=HANG_S)
    microphone.close()


def test_a_microphone_that_gives_cd_sound_only_is_refused_with_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    granted = {"rate": 44_100, "channels": 1, "format": 2, "format_name": "S16_LE"}
    module = ModuleType("alsaaudio")
    vars(module).update(
        PCM=lambda **wanted: SimpleNamespace(info=lambda: granted, close=lambda: closed.append(True)),
        ALSAAudioError=OSError,
        PCM_CAPTURE=1,
        PCM_NORMAL=0,
        PCM_FORMAT_S16_LE=2,
    )
    monkeypatch.setitem(sys.modules, "alsaaudio", module)
    with pytest.raises(HardwareFault, match=r"hw:1: gives 44100 Hz, .* instead of 48000 Hz, .* plughw:1, can"):
        AlsaMicrophone("hw:1").open(lambda block: None, lambda why: None)
    assert closed == [True], "another program may have it"
