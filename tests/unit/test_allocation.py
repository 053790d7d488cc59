"""Who rings for whom: no request is lost, none rings twice, none is without an owner."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from kiosk.desk.allocation_events import (
    Left,
    Timer,
)
from kiosk.desk.books import REQUEST, SEAT
from kiosk.desk.ledger import RequestState
from kiosk.errors import LocalProtocolError
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import (
    CallType,
    CloseReason,
    EndReason,
    ErrorCode,
    Priority,
    SeatState,
)
from tests.unit.desk_model import Ward


def test_the_tables_name_every_state() -> None:
    assert set(SEAT) == set(SeatState)
    assert set(REQUEST) == set(RequestState)


_SEAT_SIGNALS = sorted({signal for row in SEAT.values() for signal in row})
_REQUEST_SIGNALS = sorted({signal for row in REQUEST.values() for signal in row})


@pytest.mark.parametrize(("state", "signal"), list(itertools.product(SeatState, _SEAT_SIGNALS)))
def test_every_signal_to_a_seat_moves_it_by_the_table_or_not_at_all(state: SeatState, signal: str) -> None:
    ward = Ward()
    ward.seat("anna")
    books = ward.desk._books
    books.ledger.seats["anna"] = anna = replace(books.ledger.seats["anna"], state=state)
    if signal in SEAT[state]:
        assert books.move_seat("anna", signal).state is SEAT[state][signal]
    else:
        with pytest.raises(LocalProtocolError, match=f"anna is {state}: '{signal}'"):
            books.move_seat("anna", signal)
        assert books.ledger.seats["anna"] == anna


@pytest.mark.parametrize(("state", "signal"), list(itertools.product(RequestState, _REQUEST_SIGNALS)))
def test_every_signal_to_a_request_moves_it_by_the_table_or_not_at_all(state: RequestState, signal: str) -> None:
    ward = Ward()
    ward.bed("bed-1")
    ward.press("bed-1")
    books = ward.desk._books
    books.ledger.requests["r-bed-1"] = request = replace(books.ledger.requests["r-bed-1"], state=state)
    if signal in REQUEST[state]:
        books.move_request(request, signal)
        assert ward.state("r-bed-1") is REQUEST[state][signal]
    else:
        with pytest.raises(LocalProtocolError, match=f"r-bed-1 is {state}: '{signal}'"):
            books.move_request(request, signal)
        assert books.ledger.requests["r-bed-1"] == request


# -- a press finds a seat


def test_a_press_reserves_the_seat_idle_longest(ward: Ward) -> None:
    ward.press("bed-1")
    taken, allocated = ward.heard["bed-1"][-2:]
    assert taken == wire.RequestTaken(request_id="r-bed-1")
    assert isinstance(allocated, wire.Allocated)
    assert (allocated.seat, allocated.seat_name, allocated.fence) == ("anna", "Anna", 1001)
    assert ward.seat_state("anna") is SeatState.RINGING
    assert ward.seat_state("bert") is SeatState.FREE


def test_the_invitation_rings_the_seat_and_tells_the_bed(ward: Ward) -> None:
    ward.press("bed-1")
    assert ward.rings("bed-1") == "anna"
    incoming = ward.all_of("anna", wire.IncomingCall)[-1]
    assert (incoming.sdp, incoming.request.room, incoming.ring_timeout_ms) == ("offer", "bed-1", 30_000)
    assert ward.last("bed-1") == wire.Ringing(call_id=incoming.call_id)


def test_accept_connects_both_and_the_first_accept_counts(ward: Ward) -> None:
    ward.press("bed-1")
    lease = ward.talks("bed-1")
    accepted = wire.Accepted(call_id=lease.call_id, call_type=CallType.VIDEO)
    assert ward.last("bed-1") == ward.last("anna") == accepted
    assert ward.state("r-bed-1") is RequestState.TALKING
    ward.says("anna", wire.Accept(call_id=lease.call_id))
    fault = ward.last("anna")
    assert isinstance(fault, wire.Fault)
    assert fault.code is ErrorCode.OUT_OF_ORDER
    assert ward.lease("bed-1") == lease


def test_a_bed_is_needed_until_somebody_has_attended_and_a_seat_until_its_call_has_ended(ward: Ward) -> None:
    def needed() -> set[str]:
        return {user for user in ("bed-1", "anna", "bert") if ward.desk.ledger.is_needed(user)}

    assert needed() == set()
    ward.press("bed-1")
    assert needed() == {"bed-1", "anna"}
    lease = ward.talks("bed-1")
    assert needed() == {"bed-1", "anna"}
    ward.says("anna", wire.Hangup(call_id=lease.call_id))
    assert needed() == {"bed-1"}
    ward.says("bed-1", wire.CloseRequest(request_id="r-bed-1", reason=CloseReason.ATTENDED))
    assert needed() == set()


def test_a_seat_may_accept_as_audio(ward: Ward) -> None:
    ward.press("bed-1")
    ward.rings("bed-1")
    call_id = ward.lease("bed-1").call_id
    ward.says("anna", wire.Accept(call_id=call_id, call_type=CallType.AUDIO))
    assert ward.last("bed-1") == wire.Accepted(call_id=call_id, call_type=CallType.AUDIO)


@pytest.mark.promise("R01")
def test_a_hang_up_leaves_the_request_to_be_attended(ward: Ward) -> None:
    ward.press("bed-1")
    lease = ward.talks("bed-1")
    ward.now += 12.5
    ward.says("anna", wire.Hangup(call_id=lease.call_id))
    ended = wire.CallEnded(call_id=lease.call_id, reason=EndReason.HANGUP, duration=12_500)
    assert ward.last("bed-1") == ward.last("anna") == ended
    assert ward.state("r-bed-1") is RequestState.ANSWERED
    assert ward.seat_state("anna") is SeatState.WRAP_UP
    ward.passes(Timer("wrap_up", "anna"))
    assert ward.seat_state("anna") is SeatState.FREE
    assert ward.state("r-bed-1") is RequestState.ANSWERED


def test_without_wrap_up_a_seat_is_free_at_once() -> None:
    ward = Ward(wrap_up_s=0.0)
    ward.seat("anna")
    ward.bed("bed-1")
    ward.press("bed-1")
    ward.says("anna", wire.Hangup(call_id=ward.talks("bed-1").call_id))
    assert ward.seat_state("anna") is SeatState.FREE


def test_the_named_seat_comes_first_and_others_after_it(ward: Ward) -> None:
    ward.press("bed-1", seat="bert")
    assert ward.rings("bed-1") == "bert"
    ward.says("bert", wire.Reject(call_id=ward.lease("bed-1").call_id))
    assert ward.rings("bed-1") == "anna"


def test_only_seats_of_the_beds_group_ring(ward: Ward) -> None:
    ward.bed("bed-2", "icu")
    ward.press("bed-2")
    assert ward.last("bed-2") == wire.RequestTaken(request_id="r-bed-2", place=1)
    ward.seat("carl", "icu", "ward")
    assert ward.lease("bed-2").seat == "carl"


# -- nobody is forgotten


@pytest.mark.promise("R08")
@pytest.mark.parametrize(
    ("decline", "reason"),
    [
        (lambda ward, call_id: ward.says("anna", wire.Reject(call_id=call_id)), EndReason.REJECTED),
        (lambda ward, call_id: ward.says("anna", wire.Hangup(call_id=call_id)), EndReason.REJECTED),
        (lambda ward, call_id: ward.says("anna", wire.LineBusy(call_id=call_id)), EndReason.LINE_BUSY),
        (lambda ward, call_id: ward.passes(Timer("ring", call_id)), EndReason.NO_RESPONSE),
        (lambda ward, call_id: ward.says("anna", wire.CallFailed(call_id=call_id)), EndReason.FAILED),
        (lambda ward, call_id: ward.does(Left("anna")), EndReason.SEAT_LOST),
        (lambda ward, call_id: ward.seat("anna", free=False), EndReason.SEAT_LOST),
        (lambda ward, call_id: ward.says("bed-1", wire.Cancel(call_id=call_id)), EndReason.CANCELLED),
        (lambda ward, call_id: ward.says("bed-1", wire.Hangup(call_id=call_id)), EndReason.CANCELLED),
    ],
)
def test_whoever_does_not_take_it_the_next_seat_rings(ward: Ward, decline: Any, reason: EndReason) -> None:
    ward.press("bed-1")
    ward.rings("bed-1")
    call_id = ward.lease("bed-1").call_id
    decline(ward, call_id)
    assert wire.CallEnded(call_id=call_id, reason=reason) in ward.heard["bed-1"]
    assert wire.CallEnded(call_id=call_id, reason=reason) in ward.heard["anna"]
    assert ward.rings("bed-1") == "bert"


def test_a_seat_that_is_not_invited_in_time_is_given_up(ward: Ward) -> None:
    ward.press("bed-1")
    call_id = ward.lease("bed-1").call_id
    ward.passes(Timer("invite", call_id))
    assert wire.CallEnded(call_id=call_id, reason=EndReason.FAILED) in ward.heard["bed-1"]
    assert ward.lease("bed-1").seat == "bert"


@pytest.mark.promise("R08")
def test_when_all_have_declined_a_new_round_begins_after_a_pause(ward: Ward) -> None:
    ward.press("bed-1")
    for seat in ("anna", "bert"):
        assert ward.rings("bed-1") == seat
        ward.says(seat, wire.Reject(call_id=ward.lease("bed-1").call_id))
    assert ward.last("bed-1") == wire.RequestTaken(request_id="r-bed-1", place=1)
    assert not ward.desk.ledger.leases, "nobody is asked again at once"
    ward.passes(Timer("round", "r-bed-1"))
    assert ward.rings("bed-1") == "anna"


@pytest.mark.promise("R15")
def test_all_busy_queues_by_priority_then_age_and_places_are_told(ward: Ward) -> None:
    for number in (1, 2, 3, 4, 5):
        ward.bed(f"bed-{number}")
        ward.now += 1
        ward.press(f"bed-{number}", priority=Priority.URGENT if number == 5 else Priority.NORMAL)
    assert [of.place for of in ward.all_of("bed-5", wire.RequestTaken)] == [0, 1]
    assert [of.place for of in ward.all_of("bed-3", wire.RequestTaken)] == [0, 1, 2]
    assert [of.place for of in ward.all_of("bed-4", wire.RequestTaken)] == [0, 2, 3]
    first = ward.talks("bed-1")
    ward.says(first.seat, wire.Hangup(call_id=first.call_id))
    ward.passes(Timer("wrap_up", first.seat))
    assert ward.lease("bed-5").seat == first.seat, "urgent before older"
    assert ward.all_of("bed-3", wire.RequestTaken)[-1].place == 1


def test_where_the_facility_does_not_queue_the_patient_is_told_to_try_again() -> None:
    ward = Ward(queue=False)
    ward.bed("bed-1")
    ward.press("bed-1")
    assert ward.last("bed-1") == wire.RequestTaken(request_id="r-bed-1", retry_later=True)
    ward.seat("anna")
    assert not ward.desk.ledger.leases
    ward.press("bed-1", presses=2)
    assert ward.rings("bed-1") == "anna"


@pytest.mark.promise("R07")
def test_a_repeated_press_merges_and_raises_urgency(ward: Ward) -> None:
    ward.press("bed-1")
    ward.rings("bed-1")
    ward.press("bed-1", presses=3, priority=Priority.URGENT)
    ward.press("bed-1", presses=4)
    (request,) = ward.desk.ledger.requests.values()
    assert (request.told.presses, request.told.priority) == (4, Priority.URGENT)
    assert len(ward.desk.ledger.leases) == 1


def test_a_press_after_a_talk_asks_again(ward: Ward) -> None:
    ward.press("bed-1")
    ward.says("bed-1", wire.Hangup(call_id=ward.talks("bed-1").call_id, spoken=True))
    assert ward.desk.ledger.requests["r-bed-1"].told.spoken
    ward.press("bed-1", presses=2)
    assert ward.rings("bed-1") == "bert"


# -- closing


def test_cancel_at_the_bed_stops_the_ringing_everywhere(ward: Ward) -> None:
    ward.press("bed-1")
    seat = ward.rings("bed-1")
    call_id = ward.lease("bed-1").call_id
    ward.says("bed-1", wire.CloseRequest(request_id="r-bed-1", reason=CloseReason.CANCELLED))
    assert ward.last(seat) == wire.CallEnded(call_id=call_id, reason=EndReason.CANCELLED)
    assert ward.last("bed-1") == wire.RequestClosed(request_id="r-bed-1", reason=CloseReason.CANCELLED)
    assert not ward.desk.ledger.requests
    assert not ward.desk.ledger.leases
    assert ward.seat_state(seat) is SeatState.FREE


def test_attendance_during_a_talk_ends_it(ward: Ward) -> None:
    ward.press("bed-1")
    lease = ward.talks("bed-1")
    ward.says("bed-1", wire.CloseRequest(request_id="r-bed-1", reason=CloseReason.ATTENDED))
    assert wire.CallEnded(call_id=lease.call_id, reason=EndReason.HANGUP) in ward.heard["anna"]
    assert not ward.desk.ledger.requests


def test_closing_twice_is_confirmed_twice(ward: Ward) -> None:
    for _ in range(2):
        ward.says("bed-1", wire.CloseRequest(request_id="gone", reason=CloseReason.CANCELLED))
        assert ward.last("bed-1") == wire.RequestClosed(request_id="gone", reason=CloseReason.CANCELLED)


def test_nobody_closes_another_beds_request(ward: Ward) -> None:
    ward.bed("bed-2")
    ward.press("bed-1")
    ward.says("bed-2", wire.CloseRequest(request_id="r-bed-1", reason=CloseReason.CANCELLED))
    assert "r-bed-1" in ward.desk.ledger.requests
    ward.press("bed-2", "r-bed-1")
    fault = ward.last("bed-2")
    assert isinstance(fault, wire.Fault)
    assert (fault.code, fault.field) == (ErrorCode.NOT_ALLOWED, "request_id")


def _spoken(close_from_seat: bool) -> Ward:
    ward = Ward(close_from_seat=close_from_seat)
    ward.seat("anna")
    ward.seat("carl", "icu")
    ward.bed("bed-1")
    ward.press("bed-1")
    ward.says("bed-1", wire.Hangup(call_id=ward.talks("bed-1").call_id, spoken=True))
    return ward


CLOSE = wire.CloseRequest(request_id="r-bed-1", reason=CloseReason.CLOSED_BY_SEAT)


@pytest.mark.promise("R01")
def test_a_seat_closes_after_real_speech_where_the_facility_allows_it() -> None:
    ward = _spoken(close_from_seat=True)
    ward.says("anna", CLOSE)
    assert ward.last("bed-1") == wire.RequestClosed(request_id="r-bed-1", reason=CloseReason.CLOSED_BY_SEAT)
    assert not ward.desk.ledger.requests


@pytest.mark.promise("R01")
@pytest.mark.parametrize(
    ("allowed", "seat", "close", "code"),
    [
        (False, "anna", CLOSE, ErrorCode.NOT_ALLOWED),
        (True, "anna", wire.CloseRequest(request_id="r-bed-1", reason=CloseReason.ATTENDED), ErrorCode.NOT_ALLOWED),
        (True, "carl", CLOSE, ErrorCode.UNKNOWN_REQUEST),
        (
            True,
            "anna",
            wire.CloseRequest(request_id="x", reason=CloseReason.CLOSED_BY_SEAT),
            ErrorCode.UNKNOWN_REQUEST,
        ),
    ],
)
def test_otherwise_a_seat_does_not_close(
    allowed: bool, seat: str, close: wire.CloseRequest, code: ErrorCode
) -> None:
    ward = _spoken(close_from_seat=allowed)
    ward.says(seat, close)
    fault = ward.last(seat)
    assert isinstance(fault, wire.Fault)
    assert fault.code is code
    assert "r-bed-1" in ward.desk.ledger.requests
