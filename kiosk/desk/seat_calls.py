"""The passive call: a seat calls a bed, and the bed answers by its facility's rule.

Pure; the rules are those of ``allocation.py``. Nobody at the bed has asked, so such a call is bound to a request
that only the desk has made: it is answered from the start, waits for nothing, and is gone with its lease, unless
somebody presses meanwhile. A bed whose patient waits is not called but taken; one whose request was answered is
called for that.
"""

from __future__ import annotations

from kiosk.desk.allocation_events import StartTimer, Tell, Timer
from kiosk.desk.books import SEAT, Books
from kiosk.desk.calls import take
from kiosk.desk.escalation import UNANSWERED
from kiosk.desk.ledger import Bed, Request, RequestState, Seat
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import BedView, ErrorCode, OpenRequest, Origin

MAX_FOUND = 50
"""Beds told to a page that looks for one; it is asked to look for fewer."""


def call_bed(books: Books, user_id: str, message: wire.CallBed) -> None:
    """A person at the seat calls a bed of its groups."""
    seat = books.ledger.seats[user_id]
    bed = books.ledger.beds.get(message.bed_user)
    if bed is None or bed not in _callable(books, seat):
        books.refuse(user_id, ErrorCode.UNKNOWN_BED, "there is no such bed in your groups", field="bed_user")
        return
    request = books.ledger.request_of(bed.user_id)
    if "take" not in SEAT[seat.state]:
        why = f"your seat is {seat.state}: finish that call first"
    elif not bed.online:
        why = "the bed is not connected: go there"
    elif request is not None and request.call_id is not None:
        why = "somebody else speaks with this bed, or is being called for it"
    elif request is not None and request.state in UNANSWERED:
        take(books, request, seat)
        return
    else:
        _call(books, seat, request or _unasked(books, bed, message), message)
        return
    books.refuse(user_id, ErrorCode.NOT_ALLOWED, why, field="bed_user")


def _unasked(books: Books, bed: Bed, message: wire.CallBed) -> Request:
    told = OpenRequest(
        request_id=f"seat-{books.fence + 1:x}", age=0, presses=0, call_type=message.call_type, origin=Origin.SEAT
    )
    return Request(told, bed.user_id, bed.info.group, books.now, state=RequestState.ANSWERED)


def _call(books: Books, seat: Seat, request: Request, message: wire.CallBed) -> None:
    lease = books.grant_to_caller(request, seat, call_type=message.call_type)
    ring_ms = round(books.rules.ring_s * 1000)
    calls = wire.SeatCalls(
        request_id=lease.request_id,
        call_id=lease.call_id,
        fence=lease.fence,
        seat=seat.user_id,
        seat_name=seat.name,
        call_type=message.call_type,
        ring_timeout_ms=ring_ms,
    )
    calling = wire.Calling(
        call_id=lease.call_id,
        request=books.ledger.view_request(
            books.ledger.requests[lease.request_id], now=books.now, rules=books.rules
        ),
        call_type=message.call_type,
        ring_timeout_ms=ring_ms,
    )
    books.effects += [
        Tell(lease.bed, calls),
        Tell(seat.user_id, calling),
        StartTimer(Timer("ring", lease.call_id), books.rules.ring_s),
    ]


def find_beds(books: Books, user_id: str, message: wire.FindBeds) -> None:
    """Which of the beds it may call a person means, by words of their places."""
    found = sorted(
        (bed.place, bed.user_id)
        for bed in _callable(books, books.ledger.seats[user_id])
        if has_words(f"{bed.place} {bed.user_id}", message.text)
    )
    beds = tuple(_view(books, books.ledger.beds[bed_user]) for _, bed_user in found[:MAX_FOUND])
    more = max(0, len(found) - MAX_FOUND)
    books.effects.append(Tell(user_id, wire.Beds(text=message.text, beds=beds, more=more)))


def has_words(place_or_name: str, wanted: str) -> bool:
    """Whether every word that a person typed is in *place_or_name*."""
    return all(word in place_or_name.casefold() for word in wanted.casefold().split())


def _callable(books: Books, seat: Seat) -> list[Bed]:
    """The beds of the seat's groups, and those that its group helps by now."""
    helped = {request.bed for request in books.ledger.requests.values() if request.groups & seat.groups}
    return [
        bed
        for bed in books.ledger.beds.values()
        if not bed.external and (bed.info.group in seat.groups or bed.user_id in helped)
    ]


def _view(books: Books, bed: Bed) -> BedView:
    request = books.ledger.request_of(bed.user_id)
    return BedView(
        user_id=bed.user_id,
        ward=bed.info.ward,
        room=bed.info.room,
        bed=bed.info.bed,
        online=bed.online,
        request_id=None if request is None else request.told.request_id,
    )
