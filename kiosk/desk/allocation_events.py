"""What may happen at the desk and what follows from it: the events and effects of ``allocation.py``.

Pure values.
"""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.desk.ledger import Lease
from kiosk.desk.timeline import Entry
from kiosk.signaling import messages as wire


@dataclass(frozen=True)
class Timer:
    """Names a timer: what for (``invite``, ``ring``, ``wrap_up``, ``round``, ``grace``) and whose."""

    what: str
    whose: str


@dataclass(frozen=True)
class SeatArrived:
    """A seat signed in; ``call_id`` is the call its page is still in."""

    user_id: str
    name: str
    groups: frozenset[str]
    call_id: str | None = None


@dataclass(frozen=True)
class Left:
    """The connection of a seat or a kiosk is gone."""

    user_id: str


@dataclass(frozen=True)
class Said:
    """A logged-in user sent a message."""

    user_id: str
    message: wire.Message


@dataclass(frozen=True)
class SeatAsked:
    """A client asks for a seat over plain HTTP; answered by :class:`Reserved` or :class:`AllBusy`."""

    user_id: str
    request: wire.OpenRequest
    bed: wire.BedInfo


@dataclass(frozen=True)
class SeatReturned:
    """The HTTP client gives its reservation back."""

    user_id: str
    call_id: str


@dataclass(frozen=True)
class TimedOut:
    """A timer started by :class:`StartTimer` ran out."""

    timer: Timer


Event = SeatArrived | Left | Said | SeatAsked | SeatReturned | TimedOut


@dataclass(frozen=True)
class Tell:
    """Send *message* to *user_id*, if connected."""

    user_id: str
    message: wire.Message


@dataclass(frozen=True)
class StartTimer:
    """(Re)start *timer*."""

    timer: Timer
    seconds: float


@dataclass(frozen=True)
class StopTimer:
    """Stop *timer* if it runs."""

    timer: Timer


@dataclass(frozen=True)
class BoardChanged:
    """What the seats of *groups* see has changed."""

    groups: frozenset[str]


@dataclass(frozen=True)
class Reserved:
    """Answer to :class:`SeatAsked`."""

    lease: Lease


@dataclass(frozen=True)
class AllBusy:
    """Answer to :class:`SeatAsked`: no seat is free."""


@dataclass(frozen=True)
class Noted:
    """A request's timeline goes on by *entry*."""

    entry: Entry


Effect = Tell | StartTimer | StopTimer | BoardChanged | Reserved | AllBusy | Noted
