"""A sender, a network and a speaker around a :class:`Playout`, in simulated time; sound is counted, not decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kiosk.media.opus_packet import RTP_CLOCK
from kiosk.media.playout import STEP, Playout
from kiosk.media.playout_words import Arrived, Decode, Mend, Pace, Step, Tempo

SILK_20_MS, CELT_20_MS = 9 << 3, 31 << 3
COPY = 0x40
"""In a SILK frame's first byte: a copy of the packet before is in it."""
PACKET_S = 0.02
BEGIN_S = 0.001
"""When the first packet of these senders arrives."""
SSRC = 7
LAG = 300
"""Samples that a stretch of this speaker takes out or puts in."""


def voice(number: int, *, mends: bool = False) -> bytes:
    """The payload of packet *number*: 20 ms, recognisable."""
    return bytes([SILK_20_MS, COPY if mends else 0]) + number.to_bytes(4, "big")


def quiet() -> bytes:
    """A packet of DTX."""
    return bytes([SILK_20_MS])


def packet(
    number: int, *, at: float, payload: bytes | None = None, ssrc: int = SSRC, skew: int = 0, mends: bool = False
) -> Arrived:
    """Packet *number* of a sender whose time stamps are *skew* samples ahead."""
    return Arrived(
        ssrc=ssrc,
        sequence=number & 0xFFFF,
        timestamp=(number * STEP + skew) & 0xFFFFFFFF,
        at=at,
        payload=voice(number, mends=mends) if payload is None else payload,
    )


@dataclass
class Speaker:
    """Pulls 20 ms every 20 ms, as the shell does, and remembers each step with the time it is heard at."""

    playout: Playout = field(default_factory=Playout)
    steps: list[Step] = field(default_factory=list)
    heard: list[tuple[float, Step]] = field(default_factory=list)
    paces: list[Pace] = field(default_factory=list)
    at: float = 0.0
    rest: int = 0
    stretches: bool = True

    def pulls(self, times: int = 1) -> list[Step]:
        """Pull so often; what was played meanwhile."""
        before = len(self.steps)
        for _ in range(times):
            self._pull()
            self.at = round(self.at + PACKET_S, 6)
        return self.steps[before:]

    def _pull(self) -> None:
        tempo = self.playout.pull(at=self.at, samples=STEP, rest=self.rest)
        self.paces.append(tempo.pace)
        if self.stretches and tempo.pace is not Pace.NORMAL:
            self._stretch(tempo)
        while self.rest < STEP:
            self._append()
        self.rest -= STEP

    def _stretch(self, tempo: Tempo) -> None:
        wanted = 2 * STEP if tempo.most > self.rest else STEP
        while self.rest < wanted and self.playout.ready:
            self._append()
        if self.rest < STEP:
            return
        moved = -LAG if tempo.pace is Pace.SLOWER else min(LAG, tempo.most)
        self.rest -= moved
        self.playout.stretched(moved)

    def _append(self) -> None:
        step = self.playout.next()
        heard_at = self.at + self.rest / RTP_CLOCK
        if isinstance(step, Decode):
            self.playout.heard(step, at=heard_at)
        self.steps.append(step)
        self.heard.append((heard_at, step))
        assert step.samples > 0
        self.rest += step.samples

    def plays(self, arrivals: Sequence[Arrived], *, until: float) -> None:
        """Pull until then while *arrivals* come at their times."""
        waiting = sorted(arrivals, key=lambda arrived: arrived.at)
        while self.at < until:
            while waiting and waiting[0].at <= self.at:
                self.playout.receive(waiting.pop(0))
            self.pulls()

    @property
    def numbers(self) -> list[int]:
        """Which packets were decoded, in order."""
        return [number_of(step) for step in self.steps if isinstance(step, Decode) and len(step.payload) > 2]


def number_of(step: Decode | Mend) -> int:
    """Which packet it is."""
    return int.from_bytes(step.payload[2:6], "big")
