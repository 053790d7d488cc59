"""The end of a group talk at the desk: each seat goes alone, and the last one decides where the request stands."""

from __future__ import annotations

import pytest

from kiosk.desk.allocation_events import Left, Timer
from kiosk.desk.ledger import RequestState
from kiosk.desk.timeline import Happened
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import (
    CallType,
    CloseReason,
    EndReason,
    ErrorCode,
    SeatState,
)
from tests.unit.desk_model import Ward
from tests.unit.group_ward import (
    REQUEST,
    accepts,
    asks,
    call,
    hangs_up,
    happened,
    invited,
    joins,
    names,
    refused,
    talking,
    told,
)
from tests.unit.timelines import state_told

pytestmark = pytest.mark.usefixtures("anna_talks")


# -- going


def test_each_seat_ends_its_own_call_and_the_last_one_the_talk(ward: Ward) -> None:
    joins(ward, "bert")
    hangs_up(ward, "anna")
    assert told(ward, "bert").left == wire.LeftMember(user_id="anna", reason=EndReason.HANGUP)
    assert names(told(ward, "bert").members) == {"bert": "talking"}
    assert (ward.state(REQUEST), talking(ward)) == (RequestState.TALKING, ["bert"])
    assert ward.seat_state("anna") is SeatState.WRAP_UP
    hangs_up(ward, "bert")
    assert ward.state(REQUEST) is RequestState.ANSWERED
    assert ward.seat_state("bert") is SeatState.WRAP_UP
    ward.waits(ward.desk.rules.wrap_up_s)
    assert ward.seat_state("bert") is SeatState.FREE
    assert happened(ward) == [
        ("asked", "bert", "anna"),
        ("joined", "bert", ""),
        ("left", "anna", "hangup"),
        ("ended", "bert", "hangup"),
    ]


def test_a_hang_up_at_the_bed_ends_all_of_them_also_one_that_accepts_meanwhile(ward: Ward) -> None:
    joins(ward, "bert")
    asks(ward, "carl")
    invited(ward, "carl")
    calls = [lease.call_id for lease in ward.desk.ledger.leases.values()]
    accepts(ward, "carl")
    for call_id in calls:
        ward.says("bed-1", wire.Hangup(call_id=call_id))
    assert not ward.desk.ledger.leases
    assert ward.state(REQUEST) is RequestState.ANSWERED


def test_a_talk_that_breaks_does_not_take_the_others_with_it_and_the_last_one_waits_again(ward: Ward) -> None:
    joins(ward, "bert")
    ward.says("bed-1", wire.CallFailed(call_id=call(ward, "anna").call_id, spoken=True))
    assert (ward.state(REQUEST), talking(ward)) == (RequestState.TALKING, ["bert"])
    assert ward.desk.ledger.requests[REQUEST].told.spoken
    for seat in ("carl", "emil"):
        ward.says(seat, wire.SetSeatState(state="rest"))
    ward.says("bed-1", wire.CallFailed(call_id=call(ward, "bert").call_id))
    assert ward.state(REQUEST) is RequestState.WAITING
    assert ward.desk.ledger.requests[REQUEST].declined == {"bert"}


def test_when_the_talk_ends_nobody_is_rung_for_it_any_more(ward: Ward) -> None:
    asks(ward, "bert")
    invited(ward, "bert")
    asks(ward, "carl")
    ringing = call(ward, "bert").call_id
    hangs_up(ward, "anna")
    ended = wire.CallEnded(call_id=ringing, reason=EndReason.CANCELLED)
    assert ended in ward.heard["bert"]
    assert ended in ward.heard["bed-1"]
    assert not ward.desk.ledger.leases
    assert (ward.seat_state("bert"), ward.seat_state("carl")) == (SeatState.FREE, SeatState.FREE)
    assert ward.state(REQUEST) is RequestState.ANSWERED
    ward.says("bert", wire.Accept(call_id=ringing))
    assert refused(ward, "bert")[0] is ErrorCode.STALE_CALL


def test_a_seat_that_rings_stays_asked_while_anybody_is_in(ward: Ward) -> None:
    joins(ward, "bert")
    asks(ward, "carl")
    invited(ward, "carl")
    hangs_up(ward, "anna")
    assert names(told(ward, "carl").members) == {"bert": "talking", "carl": "ringing"}
    accepts(ward, "carl")
    assert talking(ward) == ["bert", "carl"]


def test_the_board_names_who_talks_and_not_who_is_rung(ward: Ward) -> None:
    asks(ward, "bert")
    invited(ward, "bert")
    joins(ward, "carl")
    hangs_up(ward, "anna")
    (line,) = ward.desk.ledger.board(ward.desk.ledger.seats["emil"], now=ward.now, rules=ward.desk.rules).requests
    assert (line.state, line.seat) == ("talking", "carl")


@pytest.mark.parametrize("reason", [CloseReason.ATTENDED, CloseReason.CANCELLED])
def test_a_request_closed_at_the_bed_ends_all_of_it(ward: Ward, reason: CloseReason) -> None:
    joins(ward, "bert")
    asks(ward, "carl")
    ward.says("bed-1", wire.CloseRequest(request_id=REQUEST, reason=reason))
    assert (ward.desk.ledger.leases, ward.desk.ledger.requests) == ({}, {})
    reasons = {seat: ward.all_of(seat, wire.CallEnded)[-1].reason for seat in ("anna", "bert", "carl")}
    assert reasons == {"anna": EndReason.HANGUP, "bert": EndReason.HANGUP, "carl": EndReason.CANCELLED}


def test_a_seat_that_loses_its_page_has_its_time_and_then_goes_alone(ward: Ward) -> None:
    joins(ward, "bert")
    ward.does(Left("bert"))
    assert talking(ward) == ["anna", "bert"]
    hangs_up(ward, "anna")
    ward.seat("bert", free=False, call_id=call(ward, "bert").call_id)
    assert (names(told(ward, "bert").members), told(ward, "bert").left) == ({"bert": "talking"}, None)
    joins_again = call(ward, "bert").call_id
    ward.waits(ward.desk.rules.wrap_up_s)
    asks(ward, "anna", by="bert")
    ward.does(Left("bert"))
    ward.seat("bert", free=False, call_id=joins_again)
    assert names(told(ward, "bert").members) == {"bert": "talking", "anna": "ringing"}
    ward.does(Left("bert"))
    ward.passes(Timer("grace", "bert"))
    assert talking(ward) == []
    assert call(ward, "carl").request_id == REQUEST, "the patient was left in the middle: the next seat rings"


def test_a_member_whose_tab_is_closed_goes_and_the_talk_does_not(ward: Ward) -> None:
    joins(ward, "bert")
    ward.does(Left("bert"))
    ward.passes(Timer("grace", "bert"))
    assert told(ward, "anna").left == wire.LeftMember(user_id="bert", reason=EndReason.SEAT_LOST)
    assert talking(ward) == ["anna"]


def test_a_seat_that_called_the_bed_may_ask_another_in(ward: Ward) -> None:
    ward.bed("bed-2")
    ward.says("emil", wire.CallBed(bed_user="bed-2"))
    ward.says("bed-2", wire.Ringing(call_id=call(ward, "emil").call_id))
    invited(ward, "emil", CallType.AUDIO)
    accepts(ward, "emil")
    asks(ward, "carl", by="emil")
    invited(ward, "carl", CallType.AUDIO)
    accepts(ward, "carl")
    request_id = call(ward, "emil").request_id
    hangs_up(ward, "emil")
    assert ward.state(request_id) is RequestState.TALKING
    hangs_up(ward, "carl")
    assert request_id not in ward.desk.ledger.requests, "nobody at the bed had asked"


# -- the timeline


def test_the_timeline_alone_tells_where_the_request_stands(ward: Ward) -> None:
    def agrees() -> bool:
        return state_told(ward.timelines[REQUEST]) is ward.state(REQUEST)

    asks(ward, "bert")
    assert agrees()
    invited(ward, "bert")
    accepts(ward, "bert")
    assert agrees()
    hangs_up(ward, "anna")
    assert agrees()
    hangs_up(ward, "bert")
    assert agrees()
    rang = [entry.seat for entry in ward.timelines[REQUEST] if entry.what is Happened.RANG]
    assert rang == ["anna", "bert"]
    joined = next(entry for entry in ward.timelines[REQUEST] if entry.what is Happened.JOINED)
    left = next(entry for entry in ward.timelines[REQUEST] if entry.what is Happened.LEFT)
    assert joined.call_id != left.call_id
