"""Whether the media path to the far end is alive: judged by the absence of packets, never by silence.

Pure: time is an argument (monotonic seconds).

Theory of operation
===================

A dead path shows itself by nothing at all. aiortc notices after half a minute of failed consent checks; a patient
who speaks into a dead line for half a minute has been lied to. So packets are counted.

Rule 1. Silence is not absence. Opus goes on at 50 packets a second while a microphone is muted or quiet. Any
packet proves the path, be it of sound, of a picture, or a mere report: all of them share one path.

Rule 2. How long nothing may come depends on what the far end says. One that *sends* is missed after ``STALL_S``.
One that says it sends nothing (no microphone, no permission) is heard only by its RTCP reports, seconds apart: it
is missed after ``QUIET_S``.

Rule 3. Only time in which somebody looked counts. When nobody looked for ``BLIND_S`` (a busy loop, a stopped
process, a sleep), what arrived meanwhile lies unread, and the time is left out.

Rule 4. A stall is judged once; the next packet ends it.

=======  =======  ===========  ================================
state    Seen     PeerSends    Tick
=======  =======  ===========  ================================
alive    alive    alive        alive, or stalled after the limit
stalled  alive    stalled      stalled
=======  =======  ===========  ================================
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

LOOK_EVERY_S = 0.25
"""How often the shell looks: a stall is told at most this much after the limit."""
STALL_S = 2.5
"""With ``LOOK_EVERY_S`` below the 3 s in which a dead path must be noticed, and above a Wi-Fi's roaming."""
QUIET_S = 12.0
"""Chromium without any track reports up to 7.5 s apart (RFC 3550: 5 s and a half of it at random)."""
BLIND_S = 1.0


class State(enum.Enum):
    """Whether packets come."""

    ALIVE = "alive"
    STALLED = "stalled"


@dataclass(frozen=True)
class Seen:
    """Packets have arrived."""

    at: float


@dataclass(frozen=True)
class PeerSends:
    """The far end says whether it sends without a pause."""

    sends: bool
    at: float


@dataclass(frozen=True)
class Tick:
    """The shell looked, and nothing had arrived."""

    at: float


Event = Seen | PeerSends | Tick


@dataclass(frozen=True)
class Liveness:
    """``absent_since``: from when on absence counts. ``looked_at``: when the shell looked last."""

    absent_since: float
    looked_at: float
    state: State = State.ALIVE
    sends: bool = False

    @property
    def limit_s(self) -> float:
        """How long nothing may come."""
        return STALL_S if self.sends else QUIET_S


def begin(at: float, *, sends: bool) -> Liveness:
    """A path that has just been connected."""
    return Liveness(absent_since=at, looked_at=at, sends=sends)


def step(before: Liveness, event: Event) -> Liveness:
    """Apply *event*."""
    if isinstance(event, Seen):
        return replace(before, state=State.ALIVE, absent_since=event.at, looked_at=event.at)
    if isinstance(event, PeerSends):
        # Whoever begins to send is given the whole limit, once: saying so again does not prove anything.
        begins = event.sends and not before.sends
        return replace(before, sends=event.sends, absent_since=event.at if begins else before.absent_since)
    blind_s = event.at - before.looked_at
    since = before.absent_since + blind_s if blind_s > BLIND_S else before.absent_since
    stalled = before.state is State.STALLED or event.at - since >= before.limit_s
    return replace(
        before,
        state=State.STALLED if stalled else State.ALIVE,
        absent_since=since,
        looked_at=event.at,
    )
