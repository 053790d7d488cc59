"""Received sound from packets to the blocks a speaker pulls: playout, decoder and stretching joined.

Packets may be given on one thread and blocks pulled on another; nothing waits but for the other's tenths of a
millisecond. Times are monotonic seconds and are given by the caller.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np

from kiosk.errors import MediaError
from kiosk.hardware.sound import BLOCK_SAMPLES, SAMPLE_RATE, Block
from kiosk.media.opus_decoder import OpusDecoder
from kiosk.media.playout import CONCEAL_S, Playout
from kiosk.media.playout_words import Arrived, Comfort, Conceal, Decode, Mend, Pace, Report, Silence, Step, Tempo
from kiosk.media.stretch import SHORTEN_SAMPLES, faded, joined, longer, shorter

log = logging.getLogger(__name__)

WHOLE_S = 0.04
"""Concealment is as loud as it was for so long, and has faded away at ``CONCEAL_S``."""
SEAM = SAMPLE_RATE * 5 // 1000
"""Where sound was left out, what went before goes on for so long under it."""
MAX_WARNINGS = 5

Watch = Callable[[Step, float], None]


class ReceivedSound:
    """One received track. *watch* is told of each step and at what time it will be heard (benchmarks)."""

    def __init__(self, decoder: OpusDecoder, *, watch: Watch = lambda step, at: None) -> None:
        self._decoder = decoder
        self._watch = watch
        self._playout = Playout()
        self._lock = threading.Lock()
        self._rest: Block = np.empty(0, np.int16)
        self._is_silent = True
        self._warnings = 0

    def take(self, packet: Arrived) -> None:
        """Take a packet. Any thread."""
        with self._lock:
            self._playout.receive(packet)

    def pull(self, *, at: float, samples: int = BLOCK_SAMPLES) -> Block:
        """The next *samples*; never raises, never waits for the network. Any thread."""
        with self._lock:
            tempo = self._playout.pull(at=at, samples=samples, rest=len(self._rest))
            if tempo.pace is not Pace.NORMAL:
                self._stretch(tempo, samples, at)
            while len(self._rest) < samples:
                self._append(at)
            given, self._rest = self._rest[:samples], self._rest[samples:]
            return given

    @property
    def report(self) -> Report:
        """The figures so far. Any thread."""
        with self._lock:
            return self._playout.report

    def _stretch(self, tempo: Tempo, samples: int, at: float) -> None:
        # More than the pull needs is decoded only where more than the rest is to be taken out.
        wanted = SHORTEN_SAMPLES if tempo.most > len(self._rest) else samples
        while len(self._rest) < wanted and self._playout.ready:
            self._append(at)
        before = len(self._rest)
        if before < samples:
            return
        if tempo.pace is Pace.SLOWER:
            self._rest = longer(self._rest)
        else:
            self._rest = shorter(self._rest, most=tempo.most, hurry=tempo.pace is Pace.FASTEST)
        self._playout.stretched(before - len(self._rest))

    def _append(self, at: float) -> None:
        step = self._playout.next()
        heard_at = at + len(self._rest) / SAMPLE_RATE
        if isinstance(step, Decode):
            self._playout.heard(step, at=heard_at)
        self._watch(step, heard_at)
        self._rest = np.concatenate([self._rest, self._sound_of(step)])

    def _sound_of(self, step: Step) -> Block:
        match step:
            case Decode():
                return self._from_silence(self._decode(step))
            case Mend():
                return self._from_silence(
                    self._tried(lambda: self._decoder.mend(step.payload, step.samples), step.samples)
                )
            case Conceal():
                return self._conceal(step)
            case Comfort():
                return self._tried(lambda: self._decoder.conceal(step.samples), step.samples)
            case Silence():
                self._is_silent = True
                return np.zeros(step.samples, np.int16)

    def _decode(self, step: Decode) -> Block:
        if step.fresh:
            self._decoder.reset()
            self._is_silent = True
        if not step.skipped:
            return self._tried(lambda: self._decoder.decode(step.payload), step.samples)
        went_on = self._tried(lambda: self._decoder.conceal(SEAM), SEAM)
        return joined(went_on, self._tried(lambda: self._decoder.decode(step.payload), step.samples))

    def _conceal(self, step: Conceal) -> Block:
        made = self._tried(lambda: self._decoder.conceal(step.samples), step.samples)
        begins, ends = _gain(step.after), _gain(step.after + step.samples)
        self._is_silent = ends == 0.0
        return made if ends == 1.0 else faded(made, begins=begins, ends=ends)

    def _from_silence(self, sound: Block) -> Block:
        if self._is_silent:
            self._is_silent = False
            sound = np.concatenate([faded(sound[:SEAM], begins=0.0, ends=1.0), sound[SEAM:]])
        return sound

    def _tried(self, decode: Callable[[], Block], samples: int) -> Block:
        """What *decode* gives, in its right length; silence for what no decoder understands."""
        try:
            sound = decode()
        except MediaError as error:
            if self._warnings < MAX_WARNINGS:
                self._warnings += 1
                log.warning("x received sound: %s", error)
            return np.zeros(samples, np.int16)
        if len(sound) < samples:
            sound = np.concatenate([sound, np.zeros(samples - len(sound), np.int16)])
        return sound[:samples]


def _gain(concealed: int) -> float:
    """How loud concealment is after so many samples of it."""
    return min(1.0, max(0.0, (CONCEAL_S - concealed / SAMPLE_RATE) / (CONCEAL_S - WHOLE_S)))
