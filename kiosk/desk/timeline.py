"""What happened to each request, entry by entry: derived from how the desk's records change.

Pure. An entry is made by comparing a record before and after its change, at the one place where records change
(``books.py``), so that no path through the desk can forget one. Ids, seats and place labels only: no patient's
name, no SDP, no UserSig ever comes here. The wall clock is added by whoever keeps the entries (``history.py``).

``MOVED`` names the entry of each move a request may make; the tests hold it against the table of moves.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field

from kiosk.desk.ledger import Bed, Lease, LeaseState, Request, RequestState, Stage


class Happened(enum.StrEnum):
    """What an entry tells."""

    RAISED = "raised"
    """The desk learnt of the request; ``age_ms`` is what its bed told. A desk that was restarted learns it anew."""
    ACKNOWLEDGED = "acknowledged"
    QUEUED = "queued"
    DEFERRED = "deferred"
    """The facility does not queue: the patient was told to wait or press again."""
    RESERVED = "reserved"
    RANG = "rang"
    ANSWERED = "answered"
    NOT_TAKEN = "not_taken"
    """The seat declined, did not respond, failed, was lost …; ``reason`` is the wire's."""
    RESUMED = "resumed"
    """A talk that this desk did not know of goes on."""
    ENDED = "ended"
    SPOKEN = "spoken"
    """The bed says that speech has flowed both ways."""
    SETTLED = "settled"
    """The bed says that a nurse has spoken with the patient, in a call this desk did not see end."""
    PRESSED_AGAIN = "pressed_again"
    ASKED_AGAIN = "asked_again"
    """The request is back in the queue by a press."""
    PRIORITY_RAISED = "priority_raised"
    OVERDUE = "overdue"
    """It sounds at all seats of its group."""
    ALERTED = "alerted"
    """It sounds there once more."""
    ESCALATED = "escalated"
    """``reason`` says to whom: ``backup_group`` or ``local_alarm``."""
    BED_OFFLINE = "bed_offline"
    BED_ONLINE = "bed_online"
    CLOSED = "closed"
    DESK_STARTED = "desk_started"
    """Of no request: what was open before is told anew by its beds."""
    CALLED = "called"
    """A seat calls the bed; ``rang`` then says that light and sound were on there."""
    ASKED = "asked"
    """A seat in the talk, which ``reason`` names, asks this one in; ``rang`` then says that it rings."""
    JOINED = "joined"
    LEFT = "left"
    """This seat was asked and did not come, or has gone; the talk goes on. ``reason`` is the wire's."""
    MISSING = "missing"
    """Of no request: so many entries (``count``) could not be kept."""


MOVED: dict[tuple[RequestState, RequestState], Happened] = {
    (RequestState.WAITING, RequestState.RINGING): Happened.RESERVED,
    (RequestState.WAITING, RequestState.DEFERRED): Happened.DEFERRED,
    (RequestState.WAITING, RequestState.TALKING): Happened.RESUMED,
    (RequestState.WAITING, RequestState.ANSWERED): Happened.SETTLED,
    (RequestState.RINGING, RequestState.TALKING): Happened.ANSWERED,
    (RequestState.RINGING, RequestState.WAITING): Happened.NOT_TAKEN,
    (RequestState.TALKING, RequestState.ANSWERED): Happened.ENDED,
    (RequestState.TALKING, RequestState.WAITING): Happened.ENDED,
    (RequestState.ANSWERED, RequestState.WAITING): Happened.ASKED_AGAIN,
    (RequestState.ANSWERED, RequestState.TALKING): Happened.ANSWERED,
    (RequestState.DEFERRED, RequestState.WAITING): Happened.ASKED_AGAIN,
    (RequestState.DEFERRED, RequestState.RINGING): Happened.RESERVED,
    (RequestState.DEFERRED, RequestState.TALKING): Happened.RESUMED,
    (RequestState.DEFERRED, RequestState.ANSWERED): Happened.SETTLED,
}


_STAGES = {
    Stage.OVERDUE: (Happened.OVERDUE, ""),
    Stage.BACKUP: (Happened.ESCALATED, "backup_group"),
    Stage.ALARM: (Happened.ESCALATED, "local_alarm"),
}


@dataclass(frozen=True)
class Entry:
    """One line of a timeline; what does not apply is empty."""

    what: Happened
    request_id: str = ""
    bed_user: str = ""
    ward: str = ""
    room: str = ""
    bed: str = ""
    seat: str = ""
    call_id: str = ""
    reason: str = ""
    place: int = 0
    age_ms: int = 0
    duration_ms: int = 0
    spoken: bool = False
    priority: int = 0
    presses: int = 0
    count: int = 0


@dataclass(frozen=True)
class Call:
    """The lease a move concerns, and how it ended."""

    lease: Lease | None = None
    reason: str = ""
    duration_ms: int = 0


NO_CALL = Call()


@dataclass(frozen=True)
class Change:
    """One request before and after a change; ``before`` is None when it is new, ``after`` when it is gone."""

    before: Request | None
    after: Request | None
    bed: Bed
    now: float
    call: Call = field(default=NO_CALL)

    def entries(self) -> Iterator[Entry]:
        """What happened, in order."""
        before, after = self.before, self.after
        if after is None:
            assert before is not None, "what never was cannot go"
            yield self._entry(Happened.CLOSED, before)
        elif before is None and after.by_seat:
            yield self._entry(Happened.CALLED, after)
        elif before is None:
            yield self._entry(Happened.RAISED, after)
            yield self._entry(Happened.ACKNOWLEDGED, after)
        else:
            yield from self._changed(before, after)

    def _changed(self, before: Request, after: Request) -> Iterator[Entry]:
        if before.by_seat and not after.by_seat:
            yield self._entry(Happened.RAISED, after)
            yield self._entry(Happened.ACKNOWLEDGED, after)
        if after.told.spoken and not before.told.spoken:
            yield self._entry(Happened.SPOKEN, after)
        if after.told.presses > before.told.presses > 0:
            yield self._entry(Happened.PRESSED_AGAIN, after)
        if after.told.priority > before.told.priority:
            yield self._entry(Happened.PRIORITY_RAISED, after)
        if after.state is not before.state:
            yield self._entry(MOVED[before.state, after.state], after)
        elif after.state is RequestState.ANSWERED and after.call_id != before.call_id:
            yield self._entry(Happened.CALLED if after.call_id else Happened.NOT_TAKEN, after)
        elif after.state is RequestState.TALKING and after.calls != before.calls:
            yield self._entry(self._of_a_member(before, after), after)
        for stage, (happened, reason) in _STAGES.items():
            if before.stage < stage <= after.stage and (stage is not Stage.BACKUP or after.backup):
                yield entry(happened, after, self.bed, self.now, Call(reason=reason))
        if 0 < before.alerts < after.alerts:
            yield self._entry(Happened.ALERTED, after)
        if after.told_place and after.told_place != before.told_place:
            yield self._entry(Happened.QUEUED, after)

    def _of_a_member(self, before: Request, after: Request) -> Happened:
        if len(after.calls) < len(before.calls):
            return Happened.LEFT
        assert self.call.lease is not None, "a call that is new is told with its lease"
        return Happened.RESUMED if self.call.lease.state is LeaseState.TALKING else Happened.ASKED

    def _entry(self, what: Happened, request: Request) -> Entry:
        return entry(what, request, self.bed, self.now, self.call)


def entry(what: Happened, request: Request, bed: Bed, now: float, call: Call = NO_CALL) -> Entry:
    """*what* happened to *request*."""
    lease = call.lease
    return Entry(
        what=what,
        request_id=request.told.request_id,
        bed_user=request.bed,
        ward=bed.info.ward,
        room=bed.info.room,
        bed=bed.info.bed,
        seat=lease.seat if lease else "",
        call_id=lease.call_id if lease else "",
        reason=call.reason,
        place=request.told_place,
        age_ms=max(0, round((now - request.opened_at) * 1000)),
        duration_ms=call.duration_ms,
        spoken=request.told.spoken,
        priority=int(request.told.priority),
        presses=request.told.presses,
    )


def lease_changed(before: Lease, after: Lease, request: Request) -> Happened | None:
    """What the change of a lease is to its request: the seat begins to ring, or comes into a talk that is on."""
    if before.state is LeaseState.RESERVED and after.state is LeaseState.RINGING and not after.by_seat:
        return Happened.RANG
    if before.state is not after.state and request.state is RequestState.TALKING:
        return Happened.JOINED
    return None


def link_changed(before: Bed | None, after: Bed) -> Happened | None:
    """What the change of a bed's link is to its open request, if anything."""
    if before is None or before.online is after.online:
        return None
    return Happened.BED_ONLINE if after.online else Happened.BED_OFFLINE
