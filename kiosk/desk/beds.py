"""What a bed says of itself: its snapshot, its request, its closes, its devices; and that it is gone.

Pure; the rules are those of ``allocation.py``. The kiosk is the truth about its request.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from kiosk.desk import escalation, members
from kiosk.desk.allocation_events import StartTimer, Tell, Timer
from kiosk.desk.books import REQUEST, Books
from kiosk.desk.escalation import UNANSWERED
from kiosk.desk.ledger import Bed, Lease, LeaseState, Request, RequestState, Stage
from kiosk.desk.timeline import Call
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import EndReason, ErrorCode, Origin, Phase


def left(books: Books, bed: Bed) -> None:
    books.keep_bed(replace(bed, online=False))
    end_unaccepted(books, bed.user_id)


def end_unaccepted(books: Books, bed: str) -> None:
    for lease in [lease for lease in books.ledger.leases.values() if lease.bed == bed]:
        if lease.state is not LeaseState.TALKING:
            books.end(lease, EndReason.BED_LOST)


def snapshot(books: Books, user_id: str, message: wire.Snapshot) -> None:
    books.keep_bed(Bed(user_id, message.bed, devices=message.devices))
    end_unaccepted(books, user_id)
    for closed in message.closed:
        close_by_bed(books, user_id, wire.CloseRequest(request_id=closed.request_id, reason=closed.reason))
    held = books.ledger.request_of(user_id)
    told = message.request
    if told is not None and told.origin is Origin.SEAT and not _seats_talk_goes_on(held, told):
        told = None
    if held is not None and told is None:
        give_back(books, held)
    if told is not None and take(books, user_id, told):
        reconcile(books, books.ledger.requests[told.request_id])
    tell_alarm(books, user_id)


def _seats_talk_goes_on(held: Request | None, told: wire.OpenRequest) -> bool:
    """A talk that a seat began may be told to a desk that does not know it; it never hides what a patient asked."""
    return told.phase is Phase.TALKING and (held is None or held.told.request_id == told.request_id)


def tell_alarm(books: Books, user_id: str) -> None:
    """Say whether the bed's own alarm is due; it may have missed it, or come from a desk that had said so."""
    request = books.ledger.request_of(user_id)
    if request is None or request.state not in UNANSWERED:
        return
    books.keep(escalation.caught_up(request, rules=books.rules, now=books.now))
    on = books.ledger.requests[request.told.request_id].stage is Stage.ALARM
    books.effects.append(Tell(user_id, wire.LocalAlarm(request_id=request.told.request_id, on=on)))


def give_back(books: Books, held: Request) -> None:
    if held.calls:
        books.end_all(held, EndReason.BED_LOST)
        if held.by_seat:
            return
        held = books.ledger.requests[held.told.request_id]
    if held.state is RequestState.DEFERRED:
        # The bed no longer knows that it was to wait or press again: it is served, or told so once more.
        books.move_request(held, "ask", declined=frozenset())
        held = books.ledger.requests[held.told.request_id]
    again = books.ledger.tell_again(held, now=books.now)
    books.effects.append(Tell(held.bed, wire.RequestHeld(request=again)))
    books.keep(replace(held, told_place=0))


def merged(books: Books, older: Request, told: wire.OpenRequest) -> Request:
    """One bed, one request: a new one inherits age, urgency and speech of the one its kiosk forgot."""
    books.end_all(older, EndReason.BED_LOST)
    older = books.ledger.requests[older.told.request_id]
    books.drop(older, reason="merged")
    told = msgspec.structs.replace(
        told,
        priority=max(older.told.priority, told.priority),
        spoken=older.told.spoken or told.spoken,
    )
    pressed_at = books.now - told.age / 1000
    waited_since = min(older.waited_since, pressed_at) if older.state in UNANSWERED else pressed_at
    opened_at = min(older.opened_at, pressed_at)
    group = books.ledger.beds[older.bed].info.group
    return Request(told, older.bed, group, opened_at, waited_since=waited_since)


def request(books: Books, user_id: str, message: wire.Request) -> None:
    """The bed's request was opened or changed; asking again brings an answered one back into the queue."""
    told = message.request
    if told.origin is Origin.SEAT:
        what = "nobody at the bed has asked: a seat's call is told in the snapshot only"
        books.refuse(user_id, ErrorCode.NOT_ALLOWED, what, field="request.origin")
        return
    if not take(books, user_id, told):
        return
    held = books.ledger.requests[told.request_id]
    if told.phase is Phase.ANSWERED:
        answered(books, held)
    elif told.phase is Phase.WAITING:
        let_caller_go(books, held)
        held = books.ledger.requests[told.request_id]
        if "ask" in REQUEST[held.state]:
            books.move_request(held, "ask", declined=frozenset())


def let_caller_go(books: Books, request: Request) -> None:
    """Somebody pressed before the bed knew that a seat calls: that comes first."""
    lease = books.ledger.leases.get(request.call_id or "")
    if lease is not None and lease.by_seat and lease.state is not LeaseState.TALKING:
        books.end(lease, EndReason.LINE_BUSY)


def answered(books: Books, request: Request) -> None:
    """The bed says that a nurse has spoken with the patient; who was chosen meanwhile need not ring."""
    if request.state is RequestState.RINGING:
        books.end_all(request, EndReason.CANCELLED)
    request = books.ledger.requests[request.told.request_id]
    if "settle" in REQUEST[request.state]:
        books.move_request(request, "settle")


def take(books: Books, user_id: str, told: wire.OpenRequest) -> bool:
    """Enter or update a request as its bed tells it, and say so; False when it is refused."""
    held = books.ledger.requests.get(told.request_id)
    if held is not None and held.bed != user_id:
        books.refuse(user_id, ErrorCode.NOT_ALLOWED, "this request belongs to another bed", field="request_id")
        return False
    group = books.ledger.beds[user_id].info.group
    older = books.ledger.request_of(user_id)
    if held is None and older is not None and older.by_seat:
        books.end_all(older, EndReason.BED_LOST, ringing=EndReason.LINE_BUSY)
        older = None
    if held is None and older is not None:
        held = merged(books, older, told)
    elif held is None:
        opened_at = books.now - told.age / 1000
        waited = told.age if told.waited is None else told.waited
        held = Request(told, user_id, group, opened_at, waited_since=books.now - waited / 1000)
    spoken = held.told.spoken or told.spoken
    priority = max(held.told.priority, told.priority)
    held = replace(held, told=msgspec.structs.replace(told, spoken=spoken, priority=priority), group=group)
    books.keep(held)
    taken = wire.RequestTaken(request_id=told.request_id, place=held.told_place)
    books.effects.append(Tell(user_id, taken))
    return True


def reconcile(books: Books, request: Request) -> None:
    """Bring the desk's view to where the kiosk's snapshot says it is."""
    told = request.told
    leases = books.ledger.leases_of(request)
    if told.phase is Phase.TALKING and told.call_id is not None:
        talks = (wire.Talk(call_id=told.call_id, seat=told.call_seat or "", fence=told.fence), *told.others)
        reconcile_talks(books, told.request_id, talks)
    elif told.phase is Phase.ANSWERED and any(lease.state is LeaseState.TALKING for lease in leases):
        books.end_all(request, EndReason.HANGUP)
    elif told.phase is Phase.ANSWERED:
        answered(books, request)
    elif leases:
        books.end_all(request, EndReason.BED_LOST)
    elif "ask" in REQUEST[request.state]:
        books.move_request(request, "ask", declined=frozenset())


def reconcile_talks(books: Books, request_id: str, talks: tuple[wire.Talk, ...]) -> None:
    """Resume the talks that we do not know, and end those that the bed does not: it is the truth about them."""
    for talk in talks:
        if talk.call_id not in books.ledger.requests[request_id].calls:
            resume(books, books.ledger.requests[request_id], talk)
    named = {talk.call_id for talk in talks}
    for lease in books.ledger.leases_of(books.ledger.requests[request_id]):
        if lease.call_id not in named:
            books.end(lease, EndReason.BED_LOST)
    request = books.ledger.requests.get(request_id)
    if request is not None and request.by_seat and not request.calls:
        books.drop(request, reason=EndReason.SEAT_LOST.value)
    elif request is not None:
        books.effects += members.told(books.ledger, request)


def resume(books: Books, request: Request, talk: wire.Talk) -> None:
    """The kiosk talks, and we do not know of it: we were restarted, or gave the seat up too early."""
    seat = books.ledger.seats.get(talk.seat)
    in_it = seat is None or not seat.connected or seat.page_call_id == talk.call_id
    taken = books.ledger.lease_of_seat(talk.seat) is not None or talk.call_id in books.ledger.leases
    may = request.state is RequestState.TALKING or "resume" in REQUEST[request.state]
    if not talk.seat or talk.seat in books.ledger.beds or taken or not in_it or not may:
        reason = EndReason.HANGUP if request.state is RequestState.ANSWERED else EndReason.SEAT_LOST
        books.effects.append(Tell(request.bed, wire.CallEnded(call_id=talk.call_id, reason=reason)))
        return
    books.fence = max(books.fence, talk.fence)
    lease = Lease(
        talk.call_id,
        talk.fence,
        request.told.request_id,
        talk.seat,
        request.bed,
        state=LeaseState.TALKING,
        talking_since=books.now,
    )
    books.keep_lease(lease)
    calls = (*request.calls, talk.call_id)
    if request.state is RequestState.TALKING:
        books.keep(replace(request, calls=calls), call=Call(lease))
    else:
        books.move_request(request, "resume", call=Call(lease), calls=calls)
    if seat is not None and seat.connected:
        books.move_seat(seat.user_id, "resume", call_id=talk.call_id)
    else:
        books.effects.append(StartTimer(Timer("grace", talk.seat), books.rules.resume_s))


def close_by_bed(books: Books, user_id: str, message: wire.CloseRequest) -> None:
    request = books.ledger.requests.get(message.request_id)
    if request is not None and request.bed == user_id:
        close(books, request, message.reason)
    else:
        closed = wire.RequestClosed(request_id=message.request_id, reason=message.reason)
        books.effects.append(Tell(user_id, closed))


def close(books: Books, request: Request, reason: wire.CloseReason) -> None:
    books.end_all(request, EndReason.HANGUP, ringing=EndReason.CANCELLED)
    if not request.by_seat:  # that is gone with its lease
        books.drop(books.ledger.requests[request.told.request_id], reason=reason.value)
    closed = wire.RequestClosed(request_id=request.told.request_id, reason=reason)
    books.effects.append(Tell(request.bed, closed))


def device_state(books: Books, user_id: str, message: wire.DeviceState) -> None:
    """A device of the bed failed or came back."""
    books.keep_bed(replace(books.ledger.beds[user_id], devices=message.devices))
