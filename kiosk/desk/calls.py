"""The messages of one call: invitation, accept, reject, hang-up, and what is only passed on.

Pure; the rules are those of ``allocation.py``. What is said late about a call that is over is refused in words
where the sender waits for something (accept, reject, invite, answer), and ignored where it only
says what is true anyway (cancel, hang-up, failed, busy, candidates): doing those twice does no harm.
"""

from __future__ import annotations

from dataclasses import replace

from kiosk.desk import members
from kiosk.desk.allocation_events import Noted, StartTimer, StopTimer, Tell, Timer
from kiosk.desk.books import Books
from kiosk.desk.ledger import Lease, LeaseState, Request, RequestState, Seat
from kiosk.desk.timeline import Call, Happened, entry
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import EndReason, ErrorCode


def held_lease(books: Books, user_id: str, call_id: str) -> Lease | None:
    """The lease of *call_id* if *user_id* is one of its two ends."""
    lease = books.ledger.leases.get(call_id)
    return lease if lease is not None and user_id in (lease.bed, lease.seat) else None


def allocate(books: Books, request: Request, seat: Seat, *, taken: bool = False) -> None:
    """Reserve *seat* for *request* and let its kiosk invite; *taken*: a person at the seat has asked for it."""
    _tell_allocated(books, books.grant(request, seat, taken=taken), seat)


def ask_in(books: Books, request: Request, seat: Seat, *, asked_by: str) -> None:
    """Reserve *seat* for the talk of *request*, and let its kiosk invite it as well."""
    _tell_allocated(books, books.grant_to_guest(request, seat, asked_by=asked_by), seat, joins=True)
    books.effects += members.told(books.ledger, books.ledger.requests[request.told.request_id])


def _tell_allocated(books: Books, lease: Lease, seat: Seat, *, joins: bool = False) -> None:
    allocated = wire.Allocated(
        request_id=lease.request_id,
        call_id=lease.call_id,
        fence=lease.fence,
        seat=seat.user_id,
        seat_name=seat.name,
        joins=joins,
    )
    books.effects.append(Tell(lease.bed, allocated))
    books.effects.append(StartTimer(Timer("invite", lease.call_id), books.rules.invite_s))


def take(books: Books, request: Request, seat: Seat) -> None:
    """A person at *seat* takes the waiting *request*: whoever it rings at is let go."""
    lease = books.ledger.leases.get(request.call_id or "")
    if lease is not None:
        books.end(lease, EndReason.ANSWERED_ELSEWHERE)
    allocate(books, books.ledger.requests[request.told.request_id], books.ledger.seats[seat.user_id], taken=True)


def refuse_stale(books: Books, user_id: str, call_id: str) -> None:
    """The call is over, or never was this user's."""
    books.refuse(user_id, ErrorCode.STALE_CALL, "the call has already ended", field="call_id", call_id=call_id)


def invite(books: Books, user_id: str, message: wire.Invite) -> None:
    """The kiosk invites the seat it was allocated, which rings from now on, or the one that called it."""
    lease = held_lease(books, user_id, message.call_id)
    if lease is None or lease.bed != user_id or lease.fence != message.fence:
        refuse_stale(books, user_id, message.call_id)
        return
    if lease.state is not LeaseState.RESERVED:
        books.refuse(user_id, ErrorCode.OUT_OF_ORDER, "this call was invited already", call_id=message.call_id)
        return
    books.keep_lease(replace(lease, state=LeaseState.RINGING, call_type=message.call_type))
    request = books.ledger.requests[lease.request_id]
    incoming = wire.IncomingCall(
        call_id=lease.call_id,
        request=books.ledger.view_request(request, now=books.now, rules=books.rules),
        call_type=message.call_type,
        sdp=message.sdp,
        ring_timeout_ms=round(books.rules.ring_s * 1000),
        members=members.members(books.ledger, request, but=lease.seat),
    )
    books.effects += [
        Tell(lease.seat, incoming),
        Tell(lease.bed, wire.Ringing(call_id=lease.call_id)),
        StopTimer(Timer("invite", lease.call_id)),
        StartTimer(Timer("ring", lease.call_id), books.rules.ring_s),
    ]


def accept(books: Books, user_id: str, message: wire.Accept) -> None:
    """The first accept of a ringing call counts; a seat that called the bed sends it at once."""
    lease = held_lease(books, user_id, message.call_id)
    if lease is None or lease.seat != user_id or lease.state is LeaseState.RESERVED:
        refuse_stale(books, user_id, message.call_id)
        return
    if lease.state is LeaseState.TALKING:
        books.refuse(
            user_id, ErrorCode.OUT_OF_ORDER, "you have accepted this call already", call_id=message.call_id
        )
        return
    books.keep_lease(replace(lease, state=LeaseState.TALKING, talking_since=books.now))
    request = books.ledger.requests[lease.request_id]
    joins = request.state is RequestState.TALKING
    if not joins:
        books.move_request(request, "called" if lease.by_seat else "accept", call=Call(lease))
    books.move_seat(user_id, "accept")
    accepted = wire.Accepted(call_id=lease.call_id, call_type=min(message.call_type, lease.call_type))
    books.effects += [
        Tell(lease.bed, accepted),
        Tell(lease.seat, accepted),
        StopTimer(Timer("ring", lease.call_id)),
    ]
    if joins:
        books.effects += members.told(books.ledger, request)


def reject(books: Books, user_id: str, message: wire.Reject) -> None:
    """The seat declines, and the next one rings; or the bed declines the seat that calls."""
    lease = held_lease(books, user_id, message.call_id)
    if lease is None or user_id != (lease.bed if lease.by_seat else lease.seat):
        refuse_stale(books, user_id, message.call_id)
    elif lease.state is LeaseState.TALKING:
        books.refuse(
            user_id, ErrorCode.OUT_OF_ORDER, "the call is accepted: hang up instead", call_id=message.call_id
        )
    else:
        books.end(lease, EndReason.REJECTED)


def line_busy(books: Books, user_id: str, message: wire.LineBusy) -> None:
    """Either end is in another call."""
    lease = held_lease(books, user_id, message.call_id)
    if lease is not None and lease.state is not LeaseState.TALKING:
        books.end(lease, EndReason.LINE_BUSY)


def cancel(books: Books, user_id: str, message: wire.Cancel) -> None:
    """Who called takes it back; a request stays until it is closed. From the other end it declines."""
    lease = held_lease(books, user_id, message.call_id)
    if lease is not None and lease.state is not LeaseState.TALKING:
        _end_unaccepted(books, lease, user_id)


def hangup(books: Books, user_id: str, message: wire.Hangup) -> None:
    """Either end hangs up; before the accept, who called takes it back, and the other end declines."""
    lease = held_lease(books, user_id, message.call_id)
    if lease is None:
        return
    if lease.state is LeaseState.TALKING:
        books.end(lease, EndReason.HANGUP, spoken=message.spoken and user_id == lease.bed)
    else:
        _end_unaccepted(books, lease, user_id)


def _end_unaccepted(books: Books, lease: Lease, user_id: str) -> None:
    caller = lease.seat if lease.by_seat else lease.bed
    books.end(lease, EndReason.CANCELLED if user_id == caller else EndReason.REJECTED)


def rings_at_bed(books: Books, user_id: str, message: wire.Ringing) -> None:
    """Light and sound are on at the bed that a seat calls."""
    lease = held_lease(books, user_id, message.call_id)
    if lease is None or not lease.by_seat or lease.state is not LeaseState.RESERVED:
        refuse_stale(books, user_id, message.call_id)
        return
    request = books.ledger.requests[lease.request_id]
    rang = entry(Happened.RANG, request, books.ledger.beds[request.bed], books.now, Call(lease))
    books.effects += [Noted(rang), Tell(lease.seat, codec.without_id(message))]


def call_failed(books: Books, user_id: str, message: wire.CallFailed) -> None:
    """The media failed; the request goes on, with another seat first."""
    lease = held_lease(books, user_id, message.call_id)
    if lease is not None:
        books.end(lease, EndReason.FAILED, spoken=message.spoken and user_id == lease.bed)


def rebuild(books: Books, user_id: str, message: wire.Rebuild) -> None:
    """The media path of a talk is dead, and the bed offers a new one.

    A seat that has left as well is not waited for: neither its page nor its media are there.
    """
    lease = held_lease(books, user_id, message.call_id)
    if lease is None or lease.bed != user_id or lease.state is not LeaseState.TALKING:
        refuse_stale(books, user_id, message.call_id)
        return
    seat = books.ledger.seats.get(lease.seat)
    if seat is not None and not seat.connected:
        books.end(lease, EndReason.SEAT_LOST, seat_lost=True)
    else:
        books.effects.append(Tell(lease.seat, codec.without_id(message)))


def pass_on(
    books: Books,
    user_id: str,
    message: wire.Answer | wire.Candidate | wire.MediaState | wire.Quality | wire.SwitchToAudio | wire.MediaStalled,
) -> None:
    """Give *message* to the other end of its call, unchanged but for its id.

    Candidates and figures come by themselves: one that is late, or that a restarted desk cannot know what to do
    with yet, is no mistake of its sender.
    """
    lease = held_lease(books, user_id, message.call_id)
    if lease is None or lease.state is LeaseState.RESERVED:
        if not isinstance(message, wire.Candidate | wire.Quality):
            refuse_stale(books, user_id, message.call_id)
        return
    other = lease.bed if user_id == lease.seat else lease.seat
    books.effects.append(Tell(other, codec.without_id(message)))
