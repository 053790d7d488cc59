"""The group call: a seat in a talk asks another one in, and the seats of one talk reach each other.

Pure; the rules are those of ``allocation.py`` (rule 9). Each seat has a lease of its own, so that what is true of
any call is true of these: they ring for their time, are fenced, are accepted or not, and end alone.
"""

from __future__ import annotations

import msgspec

from kiosk.desk.allocation_events import Tell
from kiosk.desk.books import Books
from kiosk.desk.calls import ask_in, held_lease
from kiosk.desk.ledger import Lease, LeaseState, Seat
from kiosk.desk.seat_calls import MAX_FOUND, has_words
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import MAX_MEMBERS, ErrorCode, SeatState

OfAMember = wire.MemberOffer | wire.MemberAnswer | wire.MemberCandidate


def find_seats(books: Books, user_id: str, message: wire.FindSeats) -> None:
    """Which colleagues a person means, by words of their names; of any group, since a doctor may be of none."""
    found = sorted(
        (seat.name, seat.user_id)
        for seat in books.ledger.seats.values()
        if seat.user_id != user_id and has_words(f"{seat.name} {seat.user_id}", message.text)
    )
    seats = tuple(books.ledger.view_seat(books.ledger.seats[seat]) for _, seat in found[:MAX_FOUND])
    more = max(0, len(found) - MAX_FOUND)
    books.effects.append(Tell(user_id, wire.Seats(text=message.text, seats=seats, more=more)))


def add_seat(books: Books, user_id: str, message: wire.AddSeat) -> None:
    """A seat in a talk asks another one in.

    No refusal names the call, which goes on: a desk that was just restarted may only not know it yet.
    """
    lease = held_lease(books, user_id, message.call_id)
    if lease is None or lease.state is not LeaseState.TALKING:
        what = "you are not in this talk, or the desk does not know it yet"
        books.refuse(user_id, ErrorCode.OUT_OF_ORDER, what, field="call_id")
        return
    request = books.ledger.requests[lease.request_id]
    members = [member.seat for member in books.ledger.leases_of(request)]
    seat = books.ledger.seats.get(message.user_id)
    if message.user_id in members:
        code, why = ErrorCode.SEAT_IN_TALK, "this seat is in the talk already, or is being rung for it"
    elif seat is None:
        code, why = ErrorCode.UNKNOWN_SEAT, "there is no such seat, or nobody has signed in there"
    elif len(members) >= MAX_MEMBERS:
        code, why = (
            ErrorCode.TALK_FULL,
            f"{MAX_MEMBERS} seats are in this talk or being rung: there can be no more",
        )
    elif seat.state is not SeatState.FREE:
        code, why = ErrorCode.SEAT_NOT_FREE, f"{seat.name} cannot be asked: the seat is {_in_words(seat)}"
    elif not books.ledger.beds[request.bed].online:
        code, why = ErrorCode.NOT_ALLOWED, "the bed is not connected to the desk now: nobody can join"
    else:
        ask_in(books, request, seat, asked_by=user_id)
        return
    books.refuse(user_id, code, why, field="user_id")


def _in_words(seat: Seat) -> str:
    return {SeatState.REST: "at rest", SeatState.WRAP_UP: "in wrap-up"}.get(
        seat.state, seat.state.value.replace("_", " ")
    )


def between_members(books: Books, user_id: str, message: OfAMember) -> None:
    """Give *message* to the other seat of the talk, as one about its own call.

    Both have accepted, or nothing passes. A refusal names no call, as above.
    """
    lease = held_lease(books, user_id, message.call_id)
    other = None if lease is None else _talking_with(books, lease, message.user_id)
    if other is not None:
        passed = msgspec.structs.replace(codec.without_id(message), call_id=other.call_id, user_id=user_id)
        books.effects.append(Tell(other.seat, passed))
    elif not isinstance(message, wire.MemberCandidate):
        why = "this seat and yours are not in one talk"
        books.refuse(user_id, ErrorCode.NOT_ALLOWED, why, field="user_id")


def _talking_with(books: Books, lease: Lease, seat: str) -> Lease | None:
    talking = [
        member
        for member in books.ledger.leases_of(books.ledger.requests[lease.request_id])
        if member.state is LeaseState.TALKING
    ]
    if lease not in talking:
        return None
    return next((member for member in talking if member.seat == seat and member is not lease), None)
