"""What the desk knows: seats, beds, requests and leases, as frozen records in dictionaries.

Pure. Only ``allocation.py`` changes a :class:`Ledger`; everybody else reads. Times are the desk's monotonic
seconds.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from kiosk.signaling.messages import (
    BedInfo,
    Board,
    CallType,
    Devices,
    OpenRequest,
    Origin,
    Phase,
    Priority,
    RequestView,
    SeatState,
    SeatView,
)

IN_ORDER = Devices()


class RequestState(enum.StrEnum):
    """Where a request stands at the desk."""

    WAITING = "waiting"
    RINGING = "ringing"
    TALKING = "talking"
    ANSWERED = "answered"
    DEFERRED = "deferred"


class Stage(enum.IntEnum):
    """How far the desk has gone for a request that nobody answers (``escalation.py``)."""

    USUAL = 0
    OVERDUE = 1
    BACKUP = 2
    ALARM = 3


_BOARD_ORDER = {
    RequestState.RINGING: 0,
    RequestState.WAITING: 0,
    RequestState.DEFERRED: 0,
    RequestState.TALKING: 1,
    RequestState.ANSWERED: 2,
}
"""Seats see first who still waits, then who is being spoken with, then whom to attend."""


class LeaseState(enum.Enum):
    """How far an allocation has come."""

    RESERVED = "reserved"
    """The seat is kept free for an invitation that has not come yet."""
    RINGING = "ringing"
    TALKING = "talking"


@dataclass(frozen=True)
class Rules:
    """What the facility sets; seconds."""

    ring_s: float = 30.0
    invite_s: float = 5.0
    """From allocation to the kiosk's invitation."""
    wrap_up_s: float = 5.0
    next_round_s: float = 10.0
    grace_s: float = 5.0
    """How long a seat in a call may be without its WebSocket before the call counts as lost."""
    resume_s: float = 20.0
    """How long a desk that was restarted waits for a seat that a kiosk says it talks with."""
    queue: bool = True
    """False: the patient is told to wait or press again (``on_all_busy = "retry_later"``)."""
    close_from_seat: bool = False
    overdue_s: float = 180.0
    """Without an answer for so long, a request sounds at all seats of its group (3 min: Tunstall, Bosch)."""
    realert_s: float = 180.0
    backup_after_s: float = 420.0
    """… and the backup group's seats help (7 min: Bosch) …"""
    local_alarm_s: float = 600.0
    """… and the bed is told to give its own alarm."""
    backup_groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seat:
    """One staff workplace."""

    user_id: str
    name: str
    groups: frozenset[str]
    state: SeatState = SeatState.OFFLINE
    free_since: float = 0.0
    call_id: str | None = None
    connected: bool = False
    page_call_id: str | None = None
    """The call its page said it was in when it signed in, until that has ended."""
    chosen: SeatState = SeatState.FREE
    """Where it returns after a call: a seat that took an overdue request while it rested goes on resting."""


@dataclass(frozen=True)
class Bed:
    """One kiosk, or a client of the plain HTTP door."""

    user_id: str
    info: BedInfo
    online: bool = True
    devices: Devices = IN_ORDER
    external: bool = False
    """A client of the plain HTTP door: it has no connection that could be lost."""

    @property
    def place(self) -> str:
        """Where it stands, in one line; its user id when nobody has said."""
        return " ".join(filter(None, (self.info.ward, self.info.room, self.info.bed))) or self.user_id


@dataclass(frozen=True)
class Request:
    """A patient's request. ``declined``: seats that did not take it in this round."""

    told: OpenRequest
    bed: str
    group: str
    opened_at: float
    state: RequestState = RequestState.WAITING
    declined: frozenset[str] = frozenset()
    calls: tuple[str, ...] = ()
    """Its leases by their ``call_id``, the oldest first; several when seats have joined the talk."""
    told_place: int = 0
    """The queue place its bed was told last; 0 = none."""
    round_due: bool = False
    """A timer for the next round runs."""
    external: bool = False
    """Asked for over plain HTTP: its owner is that client, it is never queued and ends with its lease."""
    waited_since: float = 0.0
    """Since when nobody has answered; moved by the time of talks that broke off."""
    answered_at: float = 0.0
    stage: Stage = Stage.USUAL
    alerts: int = 0
    """How often it has sounded at all seats since it is overdue."""
    backup: str = ""
    """The group that helps its own by now."""

    @property
    def call_id(self) -> str | None:
        """Its oldest call."""
        return self.calls[0] if self.calls else None

    @property
    def by_seat(self) -> bool:
        """Nobody at the bed has asked: a seat calls, and this is gone with its lease."""
        return self.told.origin is Origin.SEAT

    @property
    def groups(self) -> frozenset[str]:
        """Whose seats see it and may be allocated."""
        return frozenset({self.group, self.backup} - {""})

    @property
    def order(self) -> tuple[int, float, str]:
        """Sorts the queue: priority, then age."""
        return (-self.told.priority, self.opened_at, self.told.request_id)


@dataclass(frozen=True)
class Lease:
    """The right of one request to one seat. ``fence`` rises with every lease; older ones are refused."""

    call_id: str
    fence: int
    request_id: str
    seat: str
    bed: str
    state: LeaseState = LeaseState.RESERVED
    talking_since: float = 0.0
    taken: bool = False
    """A person at the seat has asked for this very request: it is as good as accepted."""
    by_seat: bool = False
    """The seat calls the bed: while it rings there, its request stays answered."""
    call_type: CallType = CallType.VIDEO
    """What the person asked for who called the bed; then what the bed invites to."""


@dataclass
class Ledger:
    """All of it."""

    seats: dict[str, Seat] = field(default_factory=dict)
    beds: dict[str, Bed] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)

    def request_of(self, bed: str, *, external: bool = False) -> Request | None:
        """The open request of *bed*; a bed has at most one, and an HTTP client one *external* one."""
        return next(
            (found for found in self.requests.values() if found.bed == bed and found.external is external), None
        )

    def lease_of_seat(self, user_id: str) -> Lease | None:
        """The lease that binds seat *user_id*, if any."""
        return next((lease for lease in self.leases.values() if lease.seat == user_id), None)

    def leases_of(self, request: Request) -> list[Lease]:
        """The leases of *request*, the oldest first."""
        return [self.leases[call_id] for call_id in request.calls]

    def is_needed(self, user_id: str) -> bool:
        """Whether *user_id* is a seat or a bed in a call, or a bed that has asked."""
        in_a_call = any(user_id in (lease.seat, lease.bed) for lease in self.leases.values())
        return in_a_call or self.request_of(user_id) is not None

    def waiting(self, groups: frozenset[str]) -> list[Request]:
        """Requests of *groups* that no seat rings for, most urgent and oldest first."""
        found = [
            request
            for request in self.requests.values()
            if request.state is RequestState.WAITING and request.groups & groups
        ]
        return sorted(found, key=lambda request: request.order)

    def queue(self, group: str) -> list[Request]:
        """The waiting requests of *group*'s own beds, in order."""
        return [request for request in self.waiting(frozenset({group})) if request.group == group]

    def yielding(self, request: Request) -> Lease | None:
        """The lease that gives way to *request*: only an emergency takes a seat, and only from the less urgent."""
        found = [
            (other.told.priority, -other.opened_at, lease)
            for lease in self.leases.values()
            if (other := self.requests[lease.request_id]).told.priority < request.told.priority
            and lease.state is not LeaseState.TALKING
            and not (lease.taken or other.external)
            and self.seats[lease.seat].groups & request.groups
            and self.seats[lease.seat].chosen is SeatState.FREE
            and lease.seat not in request.declined
        ]
        if request.told.priority is not Priority.EMERGENCY or not found:
            return None
        return min(found, key=lambda each: each[:2])[2]

    def candidates(self, request: Request) -> list[Seat]:
        """Free seats that may take *request*: the named one first, then those idle longest."""
        free = [
            seat
            for seat in self.seats.values()
            if seat.state is SeatState.FREE
            and request.groups & seat.groups
            and seat.user_id not in request.declined
        ]
        return sorted(free, key=lambda seat: (seat.user_id != request.told.seat, seat.free_since, seat.user_id))

    def view_request(self, request: Request, *, now: float, rules: Rules) -> RequestView:
        """The line of a seat's board for *request*."""
        bed = self.beds[request.bed]
        leases = self.leases_of(request)
        lease = min(leases, key=lambda lease: lease.state is not LeaseState.TALKING, default=None)
        return RequestView(
            request_id=request.told.request_id,
            bed_user=request.bed,
            ward=bed.info.ward,
            room=bed.info.room,
            bed=bed.info.bed,
            priority=request.told.priority,
            presses=request.told.presses,
            call_type=request.told.call_type,
            age=max(0, round((now - request.opened_at) * 1000)),
            state="called" if lease is not None and request.state is RequestState.ANSWERED else request.state.value,
            origin=request.told.origin,
            place=request.told_place,
            seat=lease.seat if lease else None,
            online=bed.online,
            spoken=request.told.spoken,
            may_close=may_close(request, rules),
            devices=bed.devices,
            overdue=request.stage >= Stage.OVERDUE,
            alerts=request.alerts,
        )

    def view_seat(self, seat: Seat) -> SeatView:
        """The line of a board for *seat*."""
        return SeatView(user_id=seat.user_id, name=seat.name, state=seat.state)

    def board(self, seat: Seat, *, now: float, rules: Rules) -> Board:
        """All that *seat* sees: the requests, colleagues and beds of its groups."""
        requests = [found for found in self.requests.values() if found.groups & seat.groups]
        colleagues = [
            found for found in self.seats.values() if found.user_id != seat.user_id and found.groups & seat.groups
        ]
        beds = [bed for bed in self.beds.values() if bed.info.group in seat.groups and not bed.external]
        return Board(
            me=self.view_seat(seat),
            requests=tuple(
                self.view_request(found, now=now, rules=rules)
                for found in sorted(requests, key=lambda found: (_BOARD_ORDER[found.state], found.order))
            ),
            seats=tuple(self.view_seat(found) for found in sorted(colleagues, key=lambda found: found.user_id)),
            beds_online=sum(bed.online for bed in beds),
            beds_offline=tuple(bed.place for bed in beds if not bed.online),
        )

    def tell_again(self, request: Request, *, now: float) -> OpenRequest:
        """*request* in the kiosk's own words, for a kiosk that forgot it."""
        phase = Phase.ANSWERED if request.state is RequestState.ANSWERED else Phase.WAITING
        told = request.told
        return OpenRequest(
            request_id=told.request_id,
            age=max(0, round((now - request.opened_at) * 1000)),
            presses=told.presses,
            priority=told.priority,
            origin=told.origin,
            call_type=told.call_type,
            seat=told.seat,
            phase=phase,
            spoken=told.spoken,
            waited=max(0, round((now - request.waited_since) * 1000)),
        )


def may_close(request: Request, rules: Rules) -> bool:
    """Whether a seat may close *request*: only after speech has really flowed both ways (VDE 0834)."""
    return rules.close_from_seat and request.told.spoken and request.state is RequestState.ANSWERED
