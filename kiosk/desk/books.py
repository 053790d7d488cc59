"""The books of the desk: the two tables, and the one place where seats, requests and leases change state.

Pure. ``allocation.py`` tells the theory; ``seats.py``, ``beds.py`` and ``calls.py`` decide what to do about
what was said and do it through :class:`Books`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from kiosk.desk import escalation, members
from kiosk.desk.allocation_events import Effect, Noted, StartTimer, StopTimer, Tell, Timer
from kiosk.desk.ledger import Bed, Lease, LeaseState, Ledger, Request, RequestState, Rules, Seat
from kiosk.desk.timeline import NO_CALL, Call, Change, entry, lease_changed, link_changed
from kiosk.errors import LocalProtocolError
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, EndReason, ErrorCode, SeatState

_CHOICE = {"free": SeatState.FREE, "not_ready": SeatState.NOT_READY, "rest": SeatState.REST}
_AWAY = {
    **_CHOICE,
    "lose": SeatState.OFFLINE,
    "resume": SeatState.BUSY,
    "take": SeatState.RINGING,
}

SEAT: dict[SeatState, dict[str, SeatState]] = {
    SeatState.OFFLINE: {"sign_in": SeatState.NOT_READY, "resume": SeatState.BUSY},
    SeatState.NOT_READY: _AWAY,
    SeatState.REST: _AWAY,
    SeatState.FREE: {**_AWAY, "reserve": SeatState.RINGING},
    SeatState.RINGING: {
        "accept": SeatState.BUSY,
        "release": SeatState.FREE,
        "release_not_ready": SeatState.NOT_READY,
        "release_rest": SeatState.REST,
        "lose": SeatState.OFFLINE,
    },
    SeatState.BUSY: {"end": SeatState.WRAP_UP, "lose": SeatState.OFFLINE},
    SeatState.WRAP_UP: {**_AWAY, "done": SeatState.FREE},
}

REQUEST: dict[RequestState, dict[str, RequestState]] = {
    RequestState.WAITING: {
        "reserve": RequestState.RINGING,
        "defer": RequestState.DEFERRED,
        "resume": RequestState.TALKING,
        "settle": RequestState.ANSWERED,
    },
    RequestState.RINGING: {"accept": RequestState.TALKING, "release": RequestState.WAITING},
    RequestState.TALKING: {"hang_up": RequestState.ANSWERED, "break": RequestState.WAITING},
    RequestState.ANSWERED: {"ask": RequestState.WAITING, "called": RequestState.TALKING},
    RequestState.DEFERRED: {
        "ask": RequestState.WAITING,
        "reserve": RequestState.RINGING,
        "resume": RequestState.TALKING,
        "settle": RequestState.ANSWERED,
    },
}

GAVE_WAY = frozenset({EndReason.PREEMPTED, EndReason.ANSWERED_ELSEWHERE, EndReason.BED_LOST})
_RELEASE = {
    SeatState.FREE: "release",
    SeatState.NOT_READY: "release_not_ready",
    SeatState.REST: "release_rest",
}


class Books:
    """Ledger, fencing number, and the effects and touched groups of the event at hand."""

    def __init__(self, *, rules: Rules, first_fence: int) -> None:
        self.rules = rules
        self.ledger = Ledger()
        self.fence = first_fence
        self.now = 0.0
        self.effects: list[Effect] = []
        self.touched: set[str] = set()

    def open(self, now: float) -> None:
        """Begin with an event at *now*."""
        self.now, self.effects, self.touched = now, [], set()

    def refuse(
        self, user_id: str, code: ErrorCode, message: str, *, field: str = "", call_id: str | None = None
    ) -> None:
        """Tell *user_id* in words why something was not done."""
        self.effects.append(Tell(user_id, wire.Fault(code=code, message=message, field=field, call_id=call_id)))

    def move_seat(self, user_id: str, signal: str, **changes: Any) -> Seat:
        seat = self.ledger.seats[user_id]
        target = SEAT[seat.state].get(signal)
        if target is None:
            raise LocalProtocolError(f"seat {user_id} is {seat.state}: {signal!r} is not in its table")
        if target is SeatState.FREE and seat.state is not SeatState.RINGING:
            changes["free_since"] = self.now
        self.ledger.seats[user_id] = replace(seat, state=target, **changes)
        self.touched |= seat.groups
        return self.ledger.seats[user_id]

    def move_request(self, request: Request, signal: str, *, call: Call = NO_CALL, **changes: Any) -> None:
        target = REQUEST[request.state].get(signal)
        if target is None:
            raise LocalProtocolError(
                f"request {request.told.request_id} is {request.state}: {signal!r} is not in its table"
            )
        self.keep(replace(request, state=target, told_place=0, **changes), call=call)

    def keep(self, request: Request, *, call: Call = NO_CALL) -> None:
        before = self.ledger.requests.get(request.told.request_id)
        request = escalation.settled(before, request, now=self.now)
        self.ledger.requests[request.told.request_id] = request
        self.touched |= request.groups | (before.groups if before is not None else frozenset())
        self.effects += escalation.effects(before, request, rules=self.rules, now=self.now)
        self._note(Change(before, request, self.ledger.beds[request.bed], self.now, call))

    def keep_lease(self, lease: Lease) -> None:
        before = self.ledger.leases.get(lease.call_id)
        self.ledger.leases[lease.call_id] = lease
        if before is None:
            return
        request = self.ledger.requests[lease.request_id]
        happened = lease_changed(before, lease, request)
        if happened is not None:
            bed = self.ledger.beds[request.bed]
            self.effects.append(Noted(entry(happened, request, bed, self.now, Call(lease))))

    def keep_bed(self, bed: Bed) -> None:
        before = self.ledger.beds.get(bed.user_id)
        self.ledger.beds[bed.user_id] = bed
        self.touched.add(bed.info.group)
        happened, request = link_changed(before, bed), self.ledger.request_of(bed.user_id)
        if happened is not None and request is not None:
            self.effects.append(Noted(entry(happened, request, bed, self.now)))

    def drop(self, request: Request, *, reason: str, call: Call = NO_CALL) -> None:
        del self.ledger.requests[request.told.request_id]
        self.touched |= request.groups
        self.effects += escalation.effects(request, None, rules=self.rules, now=self.now)
        self._note(Change(request, None, self.ledger.beds[request.bed], self.now, replace(call, reason=reason)))
        self.effects.append(StopTimer(Timer("round", request.told.request_id)))

    def grant(self, request: Request, seat: Seat, *, taken: bool = False) -> Lease:
        lease = self._lease(request, seat, "take" if taken else "reserve", taken=taken)
        self.move_request(request, "reserve", call=Call(lease), calls=(lease.call_id,))
        return lease

    def grant_to_guest(self, request: Request, seat: Seat, *, asked_by: str) -> Lease:
        """*seat* is asked into the talk of *request*, which stays one."""
        lease = self._lease(request, seat, "reserve")
        self.keep(replace(request, calls=(*request.calls, lease.call_id)), call=Call(lease, asked_by))
        return lease

    def grant_to_caller(self, request: Request, seat: Seat, *, call_type: CallType) -> Lease:
        """*seat* calls the bed; the request, which nobody waits for, stays as it is until the bed answers."""
        lease = self._lease(request, seat, "take", by_seat=True, call_type=call_type)
        self.keep(replace(request, calls=(lease.call_id,)), call=Call(lease))
        return lease

    def _lease(self, request: Request, seat: Seat, signal: str, **how: Any) -> Lease:
        self.fence += 1
        call_id = f"{self.fence:x}"
        lease = Lease(call_id, self.fence, request.told.request_id, seat.user_id, request.bed, **how)
        self.keep_lease(lease)
        chosen = {SeatState.FREE: SeatState.FREE, SeatState.WRAP_UP: seat.chosen}.get(seat.state, seat.state)
        self.effects.append(StopTimer(Timer("wrap_up", seat.user_id)))
        self.move_seat(seat.user_id, signal, call_id=call_id, chosen=chosen)
        return lease

    def end(self, lease: Lease, reason: EndReason, *, spoken: bool = False, seat_lost: bool = False) -> None:
        """End *lease*: seat and request go where the tables say; both ends are told.

        While another seat talks, the request stays with it. When the last one goes, nobody is rung for it any more.
        """
        request = self.ledger.requests[lease.request_id]
        others = [other for other in self.ledger.leases_of(request) if other is not lease]
        if not any(other.state is LeaseState.TALKING for other in others):
            for guest in others:
                self.end(guest, EndReason.CANCELLED)
        self._end(lease, reason, spoken=spoken)
        self.free_seat(lease, lost=seat_lost)

    def end_all(self, request: Request, reason: EndReason, *, ringing: EndReason | None = None) -> None:
        """End all leases of *request*, those that are not accepted yet first and with the reason *ringing*."""
        for lease in sorted(self.ledger.leases_of(request), key=lambda lease: lease.state is LeaseState.TALKING):
            talking = lease.state is LeaseState.TALKING
            self.end(lease, reason if talking or ringing is None else ringing)

    def _end(self, lease: Lease, reason: EndReason, *, spoken: bool) -> None:
        self.effects += [StopTimer(Timer("invite", lease.call_id)), StopTimer(Timer("ring", lease.call_id))]
        talking = lease.state is LeaseState.TALKING
        duration = round((self.now - lease.talking_since) * 1000) if talking else 0
        ended = wire.CallEnded(call_id=lease.call_id, reason=reason, duration=max(0, duration))
        call = Call(lease, reason.value, ended.duration)
        self.effects += [Tell(lease.bed, ended), Tell(lease.seat, ended)]
        request = self.ledger.requests[lease.request_id]
        staying = tuple(call_id for call_id in request.calls if call_id != lease.call_id)
        del self.ledger.leases[lease.call_id]
        if spoken:
            request = replace(request, told=msgspec.structs.replace(request.told, spoken=True))
        if staying:
            self.keep(replace(request, calls=staying), call=call)
            left = wire.LeftMember(user_id=lease.seat, reason=reason)
            self.effects += members.told(self.ledger, self.ledger.requests[lease.request_id], left=left)
        elif request.external or request.by_seat:
            self.drop(request, reason=reason.value, call=call)
            if self.ledger.beds[request.bed].external:
                del self.ledger.beds[request.bed]
        elif lease.by_seat and not talking:
            self.keep(replace(request, calls=()), call=call)
        elif talking and reason is EndReason.HANGUP:
            self.move_request(request, "hang_up", call=call, calls=(), declined=frozenset())
        else:
            # Whose call gave way, and the seat of a bed that was lost, has declined nothing.
            declined = request.declined if reason in GAVE_WAY else request.declined | {lease.seat}
            signal = "break" if talking else "release"
            self.move_request(request, signal, call=call, calls=(), declined=declined)

    def free_seat(self, lease: Lease, *, lost: bool) -> None:
        seat = self.ledger.seats.get(lease.seat)
        if seat is None or seat.call_id != lease.call_id:
            return
        self.effects.append(StopTimer(Timer("grace", seat.user_id)))
        if lost:
            self.move_seat(seat.user_id, "lose", call_id=None, connected=False)
        elif seat.state is SeatState.RINGING:
            self.move_seat(seat.user_id, _RELEASE[seat.chosen], call_id=None)
        else:
            self.move_seat(seat.user_id, "end", call_id=None, page_call_id=None)
            if self.rules.wrap_up_s:
                self.effects.append(StartTimer(Timer("wrap_up", seat.user_id), self.rules.wrap_up_s))
            else:
                self.wrapped_up(seat.user_id)

    def wrapped_up(self, user_id: str) -> None:
        """The seat is again what its person chose before the call."""
        chosen = self.ledger.seats[user_id].chosen
        self.move_seat(user_id, "done" if chosen is SeatState.FREE else chosen.value)

    def _note(self, change: Change) -> None:
        self.effects += [Noted(made) for made in change.entries()]
