"""``kiosk bench echo``: how much of the seat's own voice comes back from the bed, beside no echo control at all.

A simulated room, in simulated time: the loudspeaker's sound comes to the microphone 40 ms later with a decaying
tail (45 ms constant), 3 dB below, with noise at -65 dBFS. First only the seat speaks; then the patient does too.
Each block is told as played and then captured, as the devices' threads do it.

Words: *ERLE* is how much quieter what is sent is than what the microphone heard, while only the seat speaks. *Loss*
is how much of the patient's voice is missing while both speak, against what is sent when the patient speaks alone;
*like* is the correlation of the two. Only the CPU figure depends on the machine. What a real case of plastic does
is not told by this: a loudspeaker that overdrives is simulated, one that shakes the microphone is not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kiosk.bench.figures import percentile
from kiosk.errors import BudgetMissed
from kiosk.hardware.microphone import SampleMicrophone
from kiosk.hardware.sound import BLOCK_S, BLOCK_SAMPLES, SAMPLE_RATE, Block
from kiosk.media.echo import STEP_SAMPLES, EchoControl, NoEchoControl, WebrtcEchoControl

Sound = NDArray[np.float64]

SINGLE_S = 15
DOUBLE_S, QUICK_DOUBLE_S = 45, 15
ROOM_DELAY_S = 0.040
TAIL_CONSTANT_S, TAIL_S = 0.045, 0.25
ECHO_DB = -3.0
NOISE_DBFS = -65.0
SPEECH_DBFS = -23.0
"""Of the seat's and the patient's voice alike; the level that speech is usually set to (ITU-T P.56 practice)."""
CHINESE_FROM_S = 4.5
"""Where the sample's Chinese part begins, which the patient speaks; the seat speaks the English one."""
OVERDRIVE = 4.0
SPEAKING_DBFS = -45.0
SETTLED_S = 3.0
SEED = 2026
SPANS_S = ((0, 2), (2, 5), (5, SINGLE_S))

MUST_ERLE_DB = 30.0
"""After 5 s, in every room."""
MUST_LOSS_DB = 6.0
"""In double talk. WebRTC's canceller gives up much of it where both are equally loud (facts/media §6)."""

HEADLINE = (
    f"{'room':<44}{'ERLE 0-2 s':>12}{'2-5 s':>8}{'5-15 s':>8}{'loss dB':>9}{'like':>7}"
    f"{'µs/10 ms p50':>14}{'p95':>7}"
)


@dataclass(frozen=True)
class Room:
    """``hint_s``: the delay that is told; ``overdriven``: the loudspeaker distorts."""

    name: str
    hint_s: float = ROOM_DELAY_S
    overdriven: bool = False


ROOMS = (
    Room("linear"),
    Room("an overdriven loudspeaker", overdriven=True),
    Room("a delay told as 0", hint_s=0.0),
    Room("a delay told as 150 ms", hint_s=0.150),
)


@dataclass(frozen=True)
class Outcome:
    """Levels in dB, CPU in µs for each 10 ms."""

    erle: Sequence[float]
    loss: float
    like: float
    cpu_us: Sequence[float]

    def row(self, name: str) -> str:
        """One line of the table."""
        erle = f"{self.erle[0]:>12.1f}" + "".join(f"{value:>8.1f}" for value in self.erle[1:])
        cpu = f"{percentile(self.cpu_us, 50):>14.0f}{percentile(self.cpu_us, 95):>7.0f}"
        return f"{name:<44}{erle}{self.loss:>9.1f}{self.like:>7.2f}{cpu}"


def run(*, quick: bool) -> int:
    """Measure, print, and raise :exc:`BudgetMissed` if a budget is missed."""
    control = WebrtcEchoControl()
    double_s = QUICK_DOUBLE_S if quick else DOUBLE_S
    print(HEADLINE)
    print(measure(NoEchoControl(), ROOMS[0], double_s=double_s).row("none, in the linear room"))
    outcomes = {room.name: measure(control, room, double_s=double_s) for room in (ROOMS[:1] if quick else ROOMS)}
    for name, outcome in outcomes.items():
        print(outcome.row(name))
    worst, lost = min(outcome.erle[-1] for outcome in outcomes.values()), max(o.loss for o in outcomes.values())
    cpu = percentile([us for outcome in outcomes.values() for us in outcome.cpu_us], 50)
    print(
        f"echo: ERLE {worst:.1f} dB after 5 s (must {MUST_ERLE_DB:.0f}); {lost:.1f} dB of the patient's voice lost"
        f" while both speak (must {MUST_LOSS_DB:.0f}); {cpu:.0f} µs of CPU for each 10 ms"
    )
    if worst < MUST_ERLE_DB or lost > MUST_LOSS_DB:
        raise BudgetMissed("echo control misses its budget")
    return 0


def measure(control: EchoControl, room: Room, *, double_s: int) -> Outcome:
    """Let *control* run in *room*: ``SINGLE_S`` of the seat alone, then *double_s* of both."""
    seconds = SINGLE_S + double_s
    seat, patient = voices(seconds)
    patient[: SINGLE_S * SAMPLE_RATE] = 0.0
    noise = np.random.default_rng(SEED).normal(0, 32768 * 10 ** (NOISE_DBFS / 20), len(seat))
    heard = echo_of(seat, room) + patient + noise
    sent, cpu_us = through(control, seat, heard, room)
    alone, _ = through(control, np.zeros_like(seat), patient + noise, room)
    erle = [decibels(heard[span]) - decibels(sent[span]) for span in map(_samples, SPANS_S)]
    both = _samples((SINGLE_S + SETTLED_S, seconds))
    speaking = spoken(patient[both])
    mixed, wanted = sent[both][speaking], alone[both][speaking]
    return Outcome(erle, decibels(wanted) - decibels(mixed), float(np.corrcoef(wanted, mixed)[0, 1]), cpu_us)


def voices(seconds: int) -> tuple[Sound, Sound]:
    """The seat's and the patient's words, over and over, each at ``SPEECH_DBFS``."""
    sample = SampleMicrophone().sound.astype(np.float64)
    cut = round(CHINESE_FROM_S * SAMPLE_RATE)
    made = []
    for words in (sample[:cut], sample[cut:]):
        level = decibels(words[spoken(words)])
        made.append(np.resize(words * 10 ** ((SPEECH_DBFS - level) / 20), seconds * SAMPLE_RATE))
    return made[0], made[1]


def echo_of(seat: Sound, room: Room) -> Sound:
    """What of *seat* the microphone hears."""
    played = np.tanh(seat / 32768 * OVERDRIVE) * 32768 / OVERDRIVE if room.overdriven else seat
    tail = np.arange(round(TAIL_S * SAMPLE_RATE)) / SAMPLE_RATE
    response = np.random.default_rng(SEED).normal(0, 1, len(tail)) * np.exp(-tail / TAIL_CONSTANT_S)
    response[0] = np.abs(response).max() * 4  # the direct way is the loudest
    size = len(played) + len(response)
    echo = np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(response, size), size)[: len(played)]
    late = np.concatenate([np.zeros(round(ROOM_DELAY_S * SAMPLE_RATE)), echo])[: len(played)]
    return np.asarray(late * 10 ** ((decibels(seat) + ECHO_DB - decibels(late)) / 20))


def through(control: EchoControl, seat: Sound, heard: Sound, room: Room) -> tuple[Sound, list[float]]:
    """What is sent of *heard* while *seat* is played, and the CPU's µs for each 10 ms."""
    control.begin()
    sent: list[Block] = []
    cpu_us: list[float] = []
    for start in range(0, len(heard), BLOCK_SAMPLES):
        span = slice(start, start + BLOCK_SAMPLES)
        began = time.process_time()
        control.played(_int16(seat[span]), delay_s=room.hint_s)
        sent.append(control.captured(_int16(heard[span]), delay_s=0.0))
        cpu_us.append((time.process_time() - began) * 1e6 * STEP_SAMPLES / BLOCK_SAMPLES)
    control.end()
    return np.concatenate(sent).astype(np.float64), cpu_us


def spoken(sound: Sound) -> NDArray[np.bool_]:
    """Which samples lie in blocks of 20 ms in which somebody speaks."""
    blocks = np.array_split(sound, max(1, round(len(sound) / SAMPLE_RATE / BLOCK_S)))
    return np.concatenate([np.full(len(block), decibels(block) > SPEAKING_DBFS) for block in blocks])


def decibels(sound: Sound) -> float:
    """The level in dB of full scale."""
    return float(10 * np.log10(np.mean(np.square(sound / 32768)) + 1e-12))


def _samples(span_s: tuple[float, float]) -> slice:
    return slice(round(span_s[0] * SAMPLE_RATE), round(span_s[1] * SAMPLE_RATE))


def _int16(sound: Sound) -> Block:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
