"""Which seat rings for which request: seats, requests and the leases between them.

Pure: time is an argument (the desk's monotonic seconds); input is an :data:`Event`, output a list of
:data:`Effect`. The shell (``relay.py``) performs them and never changes the ledger itself.

Theory of operation
===================

A *request* waits until a *seat* takes it. The desk binds one to the other by a *lease*: the seat is reserved
the moment it is chosen, so that no second request can get it, and the lease carries a fencing number that only
rises. Whatever arrives about a lease that is no longer held, or from somebody who does not hold it, is refused
in words and moves nothing.

Rule 1. Requests are served by priority, then age. Among the free seats of the bed's group the named seat comes
first, then the one idle longest.

Rule 2. A seat that declined (rejected, did not answer, was busy, failed) is not asked again in this round. When
only such seats are free, a new round begins after ``next_round_s``. So nobody is asked in a tight
loop and no request is ever given up.

Rule 3. The kiosk is the truth about its request: its snapshot is believed, also by a desk that was just
started. A request it has forgotten (power cut) is given back to it; only a told close removes a request.

Rule 4. A seat whose page is gone while it rings loses the lease at once; while it talks, after ``grace_s``,
because media go on without us and the page may be back in a moment. When the bed says that media do not go on
either, there is nothing to wait for.

Rule 5. A kiosk whose link is lost keeps its request here, marked offline, and a talk goes on.

Rule 6. Nothing waits in silence. What nobody answers goes from stage to stage (``escalation.py``): all seats of its
group at once, the backup group, the bed's own alarm. Once it is overdue, any seat that sees it may take it by a
click, and is reserved for it although it had not been ready; a seat that rings or talks is not.

Rule 7. An emergency for which no seat is free takes one that is reserved or rings for a less urgent request: the
least urgent, then youngest, gives way. It waits on with its age, and its seat has declined nothing. A talk is never
broken, nor what a person took by a click, nor a reservation of the plain HTTP door.

Rule 8. A seat may call a bed (``seat_calls.py``). Where nobody has asked, that is bound to a request which the desk
makes for it, waits for nothing, is never escalated, and goes with its lease; a press in the talk makes it the
patient's. A request that was answered stays so while its bed is called again.

Rule 9. A seat in a talk may ask a free one in (``group_calls.py``), up to four in all. Each has a lease of its own;
none is the main one. The request is talking until the last of them has gone, whose way decides where it goes. A
seat that was asked and does not come has declined nothing, and nobody else is asked for it. When the last talk
ends, nobody is rung for it any more.

Seats                                             Requests
=========  =====================================  ========  ====================================
state      leaves by                              state     leaves by
=========  =====================================  ========  ====================================
offline    sign in → not_ready                    waiting   reserve → ringing, defer → deferred
not_ready  choose, lose, take → ringing, resume   ringing   accept → talking, release → waiting
rest       choose, lose, take → ringing, resume   talking   hang up → answered, break → waiting
free       choose, lose, reserve, take → ringing  answered  ask again → waiting, called → talking
ringing    accept → busy, release → where it was  deferred  ask again → waiting, take → ringing
busy       end → wrap_up, lose
wrap_up    done → where it was, choose, take
=========  =====================================  ========  ====================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kiosk.desk import beds, calls, group_calls, seat_calls, seats
from kiosk.desk.allocation_events import (
    AllBusy,
    BoardChanged,
    Effect,
    Event,
    Left,
    Reserved,
    Said,
    SeatArrived,
    SeatAsked,
    SeatReturned,
    StartTimer,
    Tell,
    TimedOut,
    Timer,
)
from kiosk.desk.books import Books
from kiosk.desk.escalation import alerted, escalated
from kiosk.desk.ledger import Bed, LeaseState, Ledger, Request, Rules
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import EndReason, ErrorCode, SeatState


class Allocation:
    """The desk's machine. ``first_fence`` must be above an earlier desk's: take the Unix time in ms."""

    def __init__(self, *, rules: Rules, first_fence: int) -> None:
        self._books = Books(rules=rules, first_fence=first_fence)

    @property
    def rules(self) -> Rules:
        """What the facility set."""
        return self._books.rules

    @property
    def ledger(self) -> Ledger:
        """What the desk knows; read only."""
        return self._books.ledger

    def handle(self, event: Event, *, now: float) -> list[Effect]:
        """Apply *event* at *now*; return the effects to perform, in order."""
        books = self._books
        books.open(now)
        _EVENTS[type(event)](books, event)
        serve(books)
        if books.touched:
            books.effects.append(BoardChanged(frozenset(books.touched)))
        return books.effects


def said(books: Books, event: Said) -> None:
    """Hand a message to the function of its type, if its sender may say it."""
    kind = type(event.message)
    bed = books.ledger.beds.get(event.user_id)
    if event.user_id in books.ledger.seats:
        handler = _FROM_SEAT.get(kind)
    elif (bed is not None and not bed.external) or kind is wire.Snapshot:
        handler = _FROM_BED.get(kind)
    else:
        what = "a kiosk sends its snapshot first, right after the login"
        books.refuse(event.user_id, ErrorCode.OUT_OF_ORDER, what, field="type")
        return
    if handler is None:
        what = f"{event.message.__struct_config__.tag!r} is not for you to send here"
        books.refuse(event.user_id, ErrorCode.NOT_ALLOWED, what, field="type")
        return
    handler(books, event.user_id, event.message)


def left(books: Books, event: Left) -> None:
    """A connection is gone."""
    if event.user_id in books.ledger.seats:
        seats.left(books, books.ledger.seats[event.user_id])
    elif event.user_id in books.ledger.beds:
        beds.left(books, books.ledger.beds[event.user_id])


def asked(books: Books, event: SeatAsked) -> None:
    """Reserve a seat for a client of the plain HTTP door, or say that all are busy."""
    held = books.ledger.request_of(event.user_id, external=True)
    if held is not None:
        books.end(books.ledger.leases[held.call_id or ""], EndReason.CANCELLED)
    request = Request(event.request, event.user_id, event.bed.group, books.now, external=True)
    candidates = books.ledger.candidates(request)
    if not candidates:
        books.effects.append(AllBusy())
        return
    if event.user_id not in books.ledger.beds:
        books.keep_bed(Bed(event.user_id, event.bed, external=True))
    books.keep(request)
    lease = books.grant(request, candidates[0])
    books.effects += [Reserved(lease), StartTimer(Timer("ring", lease.call_id), books.rules.ring_s)]


def returned(books: Books, event: SeatReturned) -> None:
    """The HTTP client gives its reservation back; doing it twice does no harm."""
    lease = calls.held_lease(books, event.user_id, event.call_id)
    if lease is not None and lease.bed == event.user_id:
        books.end(lease, EndReason.CANCELLED)


def timed_out(books: Books, event: TimedOut) -> None:
    """A timer ran out; one that was stopped meanwhile finds nothing to do."""
    what, whose = event.timer.what, event.timer.whose
    if what in ("ring", "invite"):
        lease = books.ledger.leases.get(whose)
        if lease is not None and lease.state is not LeaseState.TALKING:
            books.end(lease, EndReason.NO_RESPONSE if what == "ring" else EndReason.FAILED)
    elif what == "wrap_up":
        seat = books.ledger.seats.get(whose)
        if seat is not None and seat.state is SeatState.WRAP_UP:
            books.wrapped_up(whose)
    elif what == "round":
        request = books.ledger.requests.get(whose)
        if request is not None:
            books.keep(replace(request, declined=frozenset(), round_due=False))
    elif what in ("escalate", "alert"):
        request = books.ledger.requests.get(whose)
        if request is not None:
            books.keep(alerted(request) if what == "alert" else escalated(request, rules=books.rules))
    else:
        lease = books.ledger.lease_of_seat(whose)
        seat = books.ledger.seats.get(whose)
        if lease is not None and (seat is None or not seat.connected):
            books.end(lease, EndReason.SEAT_LOST, seat_lost=True)


def serve(books: Books) -> None:
    """Give seats to who waits, until nobody can be given any, and tell the others their places."""
    while give_seats(books):
        pass
    for group in frozenset(books.touched):
        tell_places(books, group)


def give_seats(books: Books) -> bool:
    """One pass through the queue; True when a seat was taken from another request, which may find another."""
    for request in books.ledger.waiting(frozenset(books.touched)):
        if not books.ledger.beds[request.bed].online:
            continue
        candidates = books.ledger.candidates(request)
        yielding = None if candidates else books.ledger.yielding(request)
        if candidates:
            calls.allocate(books, request, candidates[0])
        elif yielding is not None:
            books.end(yielding, EndReason.PREEMPTED)
            calls.allocate(books, request, books.ledger.seats[yielding.seat])
            return True
        elif not books.rules.queue:
            books.move_request(request, "defer", declined=frozenset())
            taken = wire.RequestTaken(request_id=request.told.request_id, retry_later=True)
            books.effects.append(Tell(request.bed, taken))
        elif request.declined and not request.round_due:
            books.keep(replace(request, round_due=True))
            round_timer = Timer("round", request.told.request_id)
            books.effects.append(StartTimer(round_timer, books.rules.next_round_s))
    return False


def tell_places(books: Books, group: str) -> None:
    for place, request in enumerate(books.ledger.queue(group), start=1):
        if place != request.told_place:
            books.keep(replace(request, told_place=place))
            taken = wire.RequestTaken(request_id=request.told.request_id, place=place)
            books.effects.append(Tell(request.bed, taken))


_EVENTS: dict[type[Event], Callable[[Books, Any], None]] = {
    SeatArrived: seats.arrived,
    Left: left,
    Said: said,
    SeatAsked: asked,
    SeatReturned: returned,
    TimedOut: timed_out,
}

_OF_A_CALL: dict[type[wire.Message], Callable[[Books, str, Any], None]] = {
    wire.LineBusy: calls.line_busy,
    wire.Hangup: calls.hangup,
    wire.CallFailed: calls.call_failed,
    wire.MediaState: calls.pass_on,
    wire.Quality: calls.pass_on,
    wire.SwitchToAudio: calls.pass_on,
    wire.Candidate: calls.pass_on,
    wire.Cancel: calls.cancel,
}

_FROM_BED: dict[type[wire.Message], Callable[[Books, str, Any], None]] = {
    **_OF_A_CALL,
    wire.Snapshot: beds.snapshot,
    wire.Request: beds.request,
    wire.CloseRequest: beds.close_by_bed,
    wire.DeviceState: beds.device_state,
    wire.Invite: calls.invite,
    wire.Rebuild: calls.rebuild,
    wire.Reject: calls.reject,
    wire.Ringing: calls.rings_at_bed,
}

_FROM_SEAT: dict[type[wire.Message], Callable[[Books, str, Any], None]] = {
    **_OF_A_CALL,
    wire.SetSeatState: seats.set_seat_state,
    wire.CloseRequest: seats.close_by_seat,
    wire.TakeRequest: seats.take_request,
    wire.CallBed: seat_calls.call_bed,
    wire.FindBeds: seat_calls.find_beds,
    wire.FindSeats: group_calls.find_seats,
    wire.AddSeat: group_calls.add_seat,
    wire.MemberOffer: group_calls.between_members,
    wire.MemberAnswer: group_calls.between_members,
    wire.MemberCandidate: group_calls.between_members,
    wire.Answer: calls.pass_on,
    wire.MediaStalled: calls.pass_on,
    wire.Accept: calls.accept,
    wire.Reject: calls.reject,
}
