"""Simulated networks: when each of a sender's packets arrives. Pure; the same seed draws the same network.

The words are netem's: ``delay 25ms 25ms`` is 25 ms with 25 ms of jitter, each packet by itself, so that they also
overtake each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

PACKET_S = 0.02
PATH_S = 0.01
CLEAN_JITTER_S = 0.002
JITTER_S = 0.025
OUTAGE_S = 0.3
OUTAGE_EVERY_S = 10.0
RECOVERY_S = 3.0
"""What is at least sent after an outage."""
BACKLOG_PACE_S = 0.0005
"""Between packets that waited for each other."""
WIFI_EVERY_S = 1.5
WIFI_PAUSE_S = (0.03, 0.15)
WIFI_LOSS = 0.01

CLEAN = "clean"
OUTAGE_LOST, OUTAGE_LATE = "300 ms outages, lost", "300 ms outages, late"
WIFI = "Wi-Fi: pauses of 30 to 150 ms, 1 % loss"


class Chance(Protocol):
    """What is drawn from: a seeded ``random.Random``."""

    def random(self) -> float:
        """0 to 1."""

    def uniform(self, a: float, b: float) -> float:
        """*a* to *b*."""

    def expovariate(self, lambd: float) -> float:
        """Exponential, 1 / *lambd* on average."""


@dataclass(frozen=True)
class Arrival:
    """Packet *index* of the sender arrives *at* seconds after the first was sent."""

    index: int
    at: float


@dataclass(frozen=True)
class Trace:
    """What arrives, in the order in which it does. ``outages``: when each ended, in seconds."""

    name: str
    arrivals: Sequence[Arrival]
    outages: Sequence[float] = ()


def traces(*, packets: int, chance: Chance) -> list[Trace]:
    """Every kind of network, for *packets* of 20 ms."""
    made = [_trace(CLEAN, packets, _clean, chance)]
    for per_cent in (1, 5, 10, 20):
        made.append(_trace(lossy(per_cent), packets, _lossy(per_cent / 100), chance))
    made.append(_outages(OUTAGE_LOST, packets, chance, is_lost=True))
    made.append(_outages(OUTAGE_LATE, packets, chance, is_lost=False))
    made.append(_wifi(packets, chance))
    return made


def lossy(per_cent: int) -> str:
    """The name of the network that loses so much."""
    return f"{per_cent} % loss, 25 ms jitter"


_Transit = Callable[[Chance], float | None]
"""The seconds a packet is under way; ``None``: for ever."""


def _clean(chance: Chance) -> float | None:
    return PATH_S + chance.uniform(0, CLEAN_JITTER_S)


def _lossy(part: float) -> _Transit:
    def transit(chance: Chance) -> float | None:
        return None if chance.random() < part else PATH_S + JITTER_S + chance.uniform(-JITTER_S, JITTER_S)

    return transit


def _trace(name: str, packets: int, transit: _Transit, chance: Chance) -> Trace:
    drawn = ((index, transit(chance)) for index in range(packets))
    arrivals = [Arrival(index, index * PACKET_S + way) for index, way in drawn if way is not None]
    return Trace(name, _ordered(arrivals))


def _outages(name: str, packets: int, chance: Chance, *, is_lost: bool) -> Trace:
    outages = int((packets * PACKET_S - RECOVERY_S) / OUTAGE_EVERY_S)
    ends = [number * OUTAGE_EVERY_S + OUTAGE_S for number in range(1, outages + 1)]
    arrivals: list[Arrival] = []
    for index in range(packets):
        at = index * PACKET_S + PATH_S + chance.uniform(0, CLEAN_JITTER_S)
        end = next((end for end in ends if end - OUTAGE_S <= at < end), None)
        if end is None:
            arrivals.append(Arrival(index, at))
        elif not is_lost:
            arrivals.append(Arrival(index, end + (at - end + OUTAGE_S) / PACKET_S * BACKLOG_PACE_S))
    return Trace(name, _ordered(arrivals), ends)


def _wifi(packets: int, chance: Chance) -> Trace:
    arrivals: list[Arrival] = []
    pause_begins, free_at = chance.expovariate(1 / WIFI_EVERY_S), 0.0
    for index in range(packets):
        at = index * PACKET_S + PATH_S + chance.uniform(0, CLEAN_JITTER_S)
        while at >= pause_begins:
            free_at = pause_begins + chance.uniform(*WIFI_PAUSE_S)
            pause_begins = free_at + chance.expovariate(1 / WIFI_EVERY_S)
        if at < free_at:
            at = free_at + BACKLOG_PACE_S
            free_at = at
        if chance.random() >= WIFI_LOSS:
            arrivals.append(Arrival(index, at))
    return Trace(WIFI, _ordered(arrivals))


def _ordered(arrivals: list[Arrival]) -> list[Arrival]:
    return sorted(arrivals, key=lambda arrival: arrival.at)
