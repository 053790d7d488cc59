"""Microphone and speaker on real ALSA, in front of a sound card that plays, records, hangs and is unplugged."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kiosk.errors import HardwareFault
from kiosk.hardware.levels import dominant_tone, rms_dbfs
from kiosk.hardware.microphone import AlsaMicrophone, ToneMicrophone
from kiosk.hardware.selection import select_microphone, select_speaker
from kiosk.hardware.sound import BLOCK_SAMPLES, SAMPLE_RATE, Block, OnBlock
from kiosk.hardware.speaker import PERIODS, QUEUE_BLOCKS, AlsaSpeaker
from kiosk.settings import Audio
from tests.pulse import PulseRig
from tests.threads import no_thread_left

pytestmark = pytest.mark.alsa

HANG_S = 30.0
STEREO_ONLY = """
pcm.stereo_only {
  type multi
  slaves { a { pcm { type null } channels 1 } b { pcm { type null } channels 1 } }
  bindings { 0 { slave a channel 0 } 1 { slave b channel 0 } }
}
"""


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    with no_thread_left():
        yield


@pytest.fixture
def card(threads_end: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseRig]:
    with PulseRig(tmp_path, asound_conf=STEREO_ONLY) as rig:
        rig.here(monkeypatch)
        yield rig


def tone(hz: float, seconds: float) -> Block:
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (np.sin(2 * np.pi * hz * at) * 10_000).astype(np.int16)


def into(blocks: queue.Queue[Block]) -> OnBlock:
    return lambda block: blocks.put(block.copy())


def no_fault(words: str) -> None:
    pytest.fail(f"a healthy device told a fault: {words}")


def test_what_the_kiosk_plays_comes_out_of_the_speaker(card: PulseRig) -> None:
    speaker, voice = AlsaSpeaker(card.speaker), ToneMicrophone(1000)
    faults: queue.Queue[str] = queue.Queue()
    for _ in range(2):
        speaker.open(faults.put)
        voice.open(speaker.play, faults.put)
        card.record_speaker(0.3)
        heard = card.record_speaker(1.0)
        voice.close()
        speaker.close()
        hz, clear = dominant_tone(heard, SAMPLE_RATE)
        assert hz == pytest.approx(1000, abs=3)
        assert clear > 20
    assert faults.empty()


def test_a_speaker_given_nothing_is_silent_and_not_late(card: PulseRig) -> None:
    speaker = AlsaSpeaker(card.speaker)
    speaker.open(no_fault)
    assert rms_dbfs(card.record_speaker(0.5)) < -90
    assert 0 < speaker.delay_s <= (PERIODS + 1) * BLOCK_SAMPLES / SAMPLE_RATE
    speaker.close()
    assert speaker.delay_s == 0


def test_a_speaker_with_a_source_sounds_what_it_gives(card: PulseRig) -> None:
    speaker = AlsaSpeaker(card.speaker)
    sound = iter(np.resize(tone(900, 1.0), (1000, BLOCK_SAMPLES)))
    speaker.feed(lambda: next(sound))
    speaker.open(no_fault)
    card.record_speaker(0.3)
    hz, clear = dominant_tone(card.record_speaker(1.0), SAMPLE_RATE)
    speaker.close()
    assert hz == pytest.approx(900, abs=3)
    assert clear > 20


def test_what_is_said_at_the_bed_reaches_the_microphone(card: PulseRig) -> None:
    microphone = AlsaMicrophone(card.microphone)
    for hz in (700, 1300):
        blocks: queue.Queue[Block] = queue.Queue()
        microphone.open(into(blocks), no_fault)
        card.play_into_microphone(tone(hz, 1.0))
        microphone.close()
        microphone.close()
        taken = [blocks.get_nowait() for _ in range(blocks.qsize())]
        assert {len(block) for block in taken} == {BLOCK_SAMPLES}
        spoken = np.concatenate([block for block in taken if rms_dbfs(block) > -30])
        assert len(spoken) > SAMPLE_RATE // 2
        assert dominant_tone(spoken, SAMPLE_RATE)[0] == pytest.approx(hz, abs=3)


def test_the_bed_hears_and_speaks_at_the_same_time_without_mixing_them(card: PulseRig) -> None:
    speaker, voice, microphone = AlsaSpeaker(card.speaker), ToneMicrophone(600), AlsaMicrophone(card.microphone)
    blocks: queue.Queue[Block] = queue.Queue()
    speaker.open(no_fault)
    microphone.open(into(blocks), no_fault)
    voice.open(speaker.play, no_fault)
    said = threading.Thread(target=card.play_into_microphone, args=(tone(1700, 1.5),))
    said.start()
    out = card.record_speaker(1.0)
    said.join(HANG_S)
    for device in (voice, microphone, speaker):
        device.close()
    taken = np.concatenate([blocks.get_nowait() for _ in range(blocks.qsize())])
    assert dominant_tone(out, SAMPLE_RATE)[0] == pytest.approx(600, abs=3)
    assert dominant_tone(taken, SAMPLE_RATE)[0] == pytest.approx(1700, abs=3)


def test_a_hanging_sound_card_holds_up_nobody_and_is_told_once(card: PulseRig) -> None:
    speaker, voice = AlsaSpeaker(card.speaker), ToneMicrophone(440)
    faults: queue.Queue[str] = queue.Queue()
    speaker.open(faults.put)
    card.record_speaker(0.1)
    played = threading.Event()

    def play(block: Block) -> None:
        speaker.play(block)
        if speaker.dropped > 2 * QUEUE_BLOCKS:
            played.set()

    card.pause()
    voice.open(play, no_fault)
    assert "kiosk_spk takes no sound" in faults.get(timeout=HANG_S)
    assert played.wait(HANG_S), "blocks are dropped, oldest first, and play() goes on returning"
    voice.close()
    assert speaker.delay_s == pytest.approx(QUEUE_BLOCKS * BLOCK_SAMPLES / SAMPLE_RATE)
    card.resume()
    speaker.close()
    assert faults.empty()


def test_an_unplugged_sound_card_is_told_once_by_each_and_can_come_back(
    card: PulseRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaker, microphone = AlsaSpeaker(card.speaker), AlsaMicrophone(card.microphone)
    mute: queue.Queue[str] = queue.Queue()
    deaf: queue.Queue[str] = queue.Queue()
    speaker.open(mute.put)
    microphone.open(lambda block: None, deaf.put)
    card.kill()
    assert "speaker kiosk_spk" in mute.get(timeout=HANG_S)
    assert "microphone kiosk_mic" in deaf.get(timeout=HANG_S)
    speaker.close()
    microphone.close()
    assert mute.empty()
    assert deaf.empty()
    with pytest.raises(HardwareFault, match="speaker kiosk_spk: cannot be opened"):
        speaker.open(mute.put)

    with PulseRig(tmp_path / "again") as again:
        again.here(monkeypatch)
        heard = threading.Event()
        speaker.open(no_fault)
        microphone.open(lambda block: heard.set(), no_fault)
        assert heard.wait(HANG_S)
        microphone.close()
        speaker.close()


@pytest.mark.parametrize("device", ["hw:9", "no_such_card"])
def test_a_missing_device_is_named_quietly(card: PulseRig, device: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HardwareFault, match=rf"microphone {device}: cannot be opened: .*arecord -L"):
        AlsaMicrophone(device).open(lambda block: None, no_fault)
    with pytest.raises(HardwareFault, match=rf"speaker {device}: cannot be opened: .*aplay -L"):
        AlsaSpeaker(device).open(no_fault)
    assert capfd.readouterr() == ("", "")


def test_a_device_that_would_change_pitch_is_refused(card: PulseRig) -> None:
    with pytest.raises(HardwareFault, match=r"stereo_only: gives 48000 Hz, 2 channels, .* instead of .* 1 channel"):
        AlsaSpeaker("stereo_only").open(no_fault)


def test_auto_is_the_default_device_or_the_reason_why_not(card: PulseRig) -> None:
    microphone, speaker = select_microphone(Audio())[0], select_speaker(Audio())[0]
    assert microphone is not None
    assert speaker is not None
    assert (microphone.name, speaker.name) == ("ALSA default", "ALSA default")
    card.kill()
    for device, why in (select_microphone(Audio()), select_speaker(Audio())):
        assert device is None
        assert "default: cannot be opened" in why
