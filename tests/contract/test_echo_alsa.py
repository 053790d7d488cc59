"""A bed whose microphone hears its own speaker, on real ALSA: the seat hears the bed, and not itself."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kiosk.hardware.levels import dominant_tone, rms_dbfs
from kiosk.hardware.microphone import AlsaMicrophone, Microphone, SampleMicrophone, ToneMicrophone
from kiosk.hardware.sound import BLOCK_S, SAMPLE_RATE, Block
from kiosk.hardware.speaker import AlsaSpeaker
from kiosk.media.call_devices import CallDevices, DeviceEvent, DeviceFault, DeviceOpened
from kiosk.media.call_sound import CallSound
from kiosk.media.echo import EchoControl, NoEchoControl, choose_echo_control
from kiosk.media.loudness import Volume
from kiosk.media.voice_source import VoiceSource
from kiosk.signaling.messages import FaultKind
from tests.pulse import PulseRig
from tests.threads import no_thread_left
from tests.waiting import HANG_S, until

pytestmark = pytest.mark.alsa

LEARNING_S = 4.0
HEARD_S = 3.0
LEARNING_SPANS = 10
TAKEN_OUT_DB = 20
ONLY_44K = """
</usr/share/alsa/alsa.conf>
pcm.only_44k {{
  type plug
  slave {{
    pcm {{ type file slave.pcm "null" file "/dev/null" infile "{said}" format "raw" }}
    rate {rate}
    channels 1
    format S16_LE
  }}
}}
"""


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    with no_thread_left():
        yield


@pytest.fixture
def card(threads_end: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseRig]:
    with PulseRig(tmp_path) as rig:
        rig.here(monkeypatch)
        yield rig


class Kept(VoiceSource):
    """Keeps what would be encoded."""

    def __init__(self, sent: list[Block]) -> None:
        super().__init__()
        self._sent = sent

    def deliver(self, block: Block, *, lifted_db: float = 0.0) -> None:
        self._sent.append(block.copy())


class Bed:
    """The bed's sound devices in a call; what the microphone gives to the call is kept."""

    def __init__(
        self,
        microphone: Microphone,
        *,
        echo: EchoControl | None = None,
        dead_after_s: float = HANG_S,
        day: int = 100,
    ) -> None:
        self.events: list[DeviceEvent] = []
        self.sent: list[Block] = []
        self.sound = CallSound(
            echo=echo, volume=Volume(day=day), dead_after_s=dead_after_s, look_every_s=0.1, minute=lambda: 720
        )
        self.devices = CallDevices(
            camera=None,
            microphone=microphone,
            speaker=AlsaSpeaker(PulseRig.speaker),
            tell=self.events.append,
            sound=self.sound,
        )
        self.devices.voice = Kept(self.sent)

    async def opens(self) -> None:
        self.devices.open(video=False)
        await until(lambda: DeviceOpened("microphone") in self.events, "the microphone is open")

    async def sends(self, seconds: float) -> Block:
        """What it sends in the next *seconds*."""
        begin, count = len(self.sent), round(seconds / BLOCK_S)
        await until(lambda: len(self.sent) >= begin + count, "sound is sent")
        return np.concatenate(self.sent[begin : begin + count])


async def quietest(bed: Bed, *, below: float) -> float:
    """The level in dB of what it sends, as soon as that is under *below*, else the least of ``LEARNING_SPANS``.

    On a busy machine the sound stumbles now and then, and the delay has to be learned again.
    """
    levels: list[float] = []
    while len(levels) < LEARNING_SPANS and min(levels, default=0.0) >= below:
        levels.append(rms_dbfs(await bed.sends(HEARD_S)))
    return min(levels)


async def test_the_seats_own_voice_does_not_come_back(card: PulseRig) -> None:
    echo = with_webrtc()
    card.let_microphone_hear_speaker()
    bed, seat = Bed(AlsaMicrophone(card.microphone), echo=NoEchoControl()), SampleMicrophone()
    await bed.opens()
    seat.open(bed.devices.play, pytest.fail)
    await bed.sends(LEARNING_S)
    as_it_is = rms_dbfs(await bed.sends(HEARD_S))
    await bed.devices.close()
    assert as_it_is > -40, "the microphone hears the speaker"

    controlled = Bed(AlsaMicrophone(card.microphone), echo=echo)
    seat.open(controlled.devices.play, pytest.fail)
    await controlled.opens()
    assert as_it_is - await quietest(controlled, below=as_it_is - TAKEN_OUT_DB) > TAKEN_OUT_DB
    seat.close()
    await controlled.devices.close()


async def test_both_may_speak_at_once(card: PulseRig) -> None:
    """The patient says words of their own while the seat speaks: they are heard above what is left of the echo."""
    echo = with_webrtc()
    card.let_microphone_hear_speaker()
    bed, seat = Bed(AlsaMicrophone(card.microphone), echo=echo), SampleMicrophone()
    await bed.opens()
    seat.open(bed.devices.play, pytest.fail)
    alone = await quietest(bed, below=-50)
    patient = threading.Thread(target=card.play_into_microphone, args=(voice(HEARD_S + 1),))
    patient.start()
    together = rms_dbfs(await bed.sends(HEARD_S))
    patient.join(HANG_S)
    seat.close()
    await bed.devices.close()
    assert together - alone > 10


def voice(seconds: float) -> Block:
    """The patient's words: the sample, from another place in it."""
    sample = SampleMicrophone()
    blocks = [sample._block(number + 100) for number in range(round(seconds / BLOCK_S))]
    return np.concatenate(blocks)


def with_webrtc() -> EchoControl:
    pytest.importorskip("livekit.rtc.apm", reason="needs the extra echo")
    return choose_echo_control("auto")


def test_a_microphone_of_another_rate_is_heard_at_the_right_pitch(
    threads_end: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ALSA's "plug" resamples, which "default" and "plughw:…" are made of. A file stands for the device: plug does
    not convert rates in front of PulseAudio, which does that itself."""
    rate = 44_100
    said = np.sin(2 * np.pi * 1000 * np.arange(20 * rate) / rate) * 10_000
    (tmp_path / "said").write_bytes(said.astype(np.int16).tobytes())
    config = tmp_path / "asound.conf"
    config.write_text(ONLY_44K.format(rate=rate, said=tmp_path / "said"))
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    heard: queue.Queue[Block] = queue.Queue(maxsize=50)

    def take(block: Block) -> None:
        with contextlib.suppress(queue.Full):  # the file gives its sound faster than a device would
            heard.put_nowait(block.copy())

    microphone = AlsaMicrophone("only_44k")
    microphone.open(take, pytest.fail)
    blocks = [heard.get(timeout=HANG_S) for _ in range(50)]
    microphone.close()
    hz, clear = dominant_tone(np.concatenate(blocks[10:]), SAMPLE_RATE)
    assert hz == pytest.approx(1000, abs=3)
    assert clear > 20


async def test_a_microphone_that_gives_only_zeros_is_told_and_taken_back(card: PulseRig) -> None:
    bed = Bed(AlsaMicrophone(card.microphone), dead_after_s=1.0)
    await bed.opens()
    await until(lambda: isinstance(bed.events[-1], DeviceFault), "the dead microphone is told")
    fault = bed.events[-1]
    words = "ALSA kiosk_mic: no sound at all for 1 s: muted, or unplugged?"
    assert fault == DeviceFault("microphone", words, FaultKind.SILENT)
    speaking = threading.Thread(target=card.play_into_microphone, args=(voice(2.0),))
    speaking.start()
    await until(lambda: bed.events[-1] == DeviceOpened("microphone"), "it is taken back")
    speaking.join(HANG_S)
    await bed.devices.close()


async def test_a_microphone_whose_driver_hangs_is_told_as_well(card: PulseRig) -> None:
    bed = Bed(AlsaMicrophone(card.microphone), dead_after_s=1.0)
    await bed.opens()
    card.pause()
    try:
        await until(
            lambda: any(isinstance(event, DeviceFault) and event.device == "microphone" for event in bed.events),
            "the hanging microphone is told",
        )
    finally:
        card.resume()
    await bed.devices.close()


async def test_the_volume_reaches_the_loudspeaker(card: PulseRig) -> None:
    levels = []
    for day in (100, 50):
        bed, seat = Bed(AlsaMicrophone(card.microphone), day=day), ToneMicrophone(1000)
        await bed.opens()
        seat.open(bed.devices.play, pytest.fail)
        await bed.sends(0.5)
        levels.append(rms_dbfs(card.record_speaker(0.5)))
        seat.close()
        await bed.devices.close()
    assert levels[0] - levels[1] == pytest.approx(15, abs=1)
