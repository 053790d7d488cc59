"""What a seat does and says of itself: arrives, leaves, chooses its state, closes a request.

Pure; the rules are those of ``allocation.py``.
"""

from __future__ import annotations

from dataclasses import replace

from kiosk.desk import members
from kiosk.desk.allocation_events import SeatArrived, StartTimer, StopTimer, Timer
from kiosk.desk.beds import close
from kiosk.desk.books import SEAT, Books
from kiosk.desk.calls import take
from kiosk.desk.escalation import UNANSWERED
from kiosk.desk.ledger import LeaseState, Seat, Stage, may_close
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import EndReason, ErrorCode, SeatState


def arrived(books: Books, event: SeatArrived) -> None:
    lease = books.ledger.lease_of_seat(event.user_id)
    resumes = lease is not None and lease.state is LeaseState.TALKING and lease.call_id == event.call_id
    known = books.ledger.seats.get(event.user_id)
    if lease is not None and not resumes:
        books.end(lease, EndReason.SEAT_LOST, seat_lost=True)
    elif known is not None and known.state is not SeatState.OFFLINE and not resumes:
        books.move_seat(event.user_id, "lose", call_id=None)
    seat = books.ledger.seats.get(event.user_id) or Seat(event.user_id, event.name, event.groups)
    books.ledger.seats[event.user_id] = replace(
        seat, name=event.name, groups=event.groups, connected=True, page_call_id=event.call_id
    )
    books.touched |= event.groups
    books.effects += [StopTimer(Timer("grace", event.user_id)), StopTimer(Timer("wrap_up", event.user_id))]
    if not resumes:
        books.move_seat(event.user_id, "sign_in")
    elif seat.state is not SeatState.BUSY:
        books.move_seat(event.user_id, "resume", call_id=event.call_id)
    if resumes and lease is not None:  # somebody may have come or gone while the page was away
        books.effects.append(members.told_to(books.ledger, lease))


def left(books: Books, seat: Seat) -> None:
    lease = books.ledger.leases.get(seat.call_id or "")
    if lease is not None and lease.state is LeaseState.TALKING:
        books.ledger.seats[seat.user_id] = replace(seat, connected=False)
        books.effects.append(StartTimer(Timer("grace", seat.user_id), books.rules.grace_s))
    elif lease is not None:
        books.end(lease, EndReason.SEAT_LOST, seat_lost=True)
    elif seat.state is not SeatState.OFFLINE:
        books.effects.append(StopTimer(Timer("wrap_up", seat.user_id)))
        books.move_seat(seat.user_id, "lose", connected=False)


def set_seat_state(books: Books, user_id: str, message: wire.SetSeatState) -> None:
    seat = books.ledger.seats[user_id]
    if message.state not in SEAT[seat.state]:
        books.refuse(user_id, ErrorCode.NOT_ALLOWED, f"a seat that is {seat.state} cannot become {message.state}")
        return
    books.effects.append(StopTimer(Timer("wrap_up", user_id)))
    books.move_seat(user_id, message.state)


def take_request(books: Books, user_id: str, message: wire.TakeRequest) -> None:
    """A person takes an overdue request: this very seat is reserved for it."""
    seat = books.ledger.seats[user_id]
    request = books.ledger.requests.get(message.request_id)
    if request is None or request.external or not request.groups & seat.groups:
        books.refuse(user_id, ErrorCode.UNKNOWN_REQUEST, "there is no such open request", field="request_id")
        return
    lease = books.ledger.leases.get(request.call_id or "")
    if "take" not in SEAT[seat.state]:
        why = f"your seat is {seat.state}: finish that call first"
    elif request.state not in UNANSWERED or (lease is not None and lease.taken):
        why = "somebody has taken this request already"
    elif request.stage is Stage.USUAL:
        why = "this request is not overdue yet: it rings at one seat after the other"
    elif not books.ledger.beds[request.bed].online:
        why = "the bed is not connected: go there"
    else:
        take(books, request, seat)
        return
    books.refuse(user_id, ErrorCode.NOT_ALLOWED, why, field="request_id")


def close_by_seat(books: Books, user_id: str, message: wire.CloseRequest) -> None:
    request = books.ledger.requests.get(message.request_id)
    if request is None or not request.groups & books.ledger.seats[user_id].groups:
        books.refuse(user_id, ErrorCode.UNKNOWN_REQUEST, "there is no such open request", field="request_id")
    elif message.reason is not wire.CloseReason.CLOSED_BY_SEAT or not may_close(request, books.rules):
        books.refuse(
            user_id,
            ErrorCode.NOT_ALLOWED,
            "a seat may close a request only where the facility allows it, with 'closed_by_seat', after speech"
            " has flowed both ways; otherwise it is closed at the bed",
        )
    else:
        close(books, request, message.reason)
