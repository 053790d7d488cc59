"""The desk when a seat calls a bed: who may be called, who is let through first, and what is left of it."""

from __future__ import annotations

import pytest

from kiosk.desk.allocation_events import Left, SeatAsked
from kiosk.desk.ledger import RequestState
from kiosk.desk.seat_calls import MAX_FOUND
from kiosk.desk.timeline import Happened
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import (
    CallType,
    CloseReason,
    EndReason,
    ErrorCode,
    OpenRequest,
    Origin,
    Phase,
    Priority,
    SeatState,
)
from tests.unit.called_beds import answers, calls, view, ward_of
from tests.unit.desk_model import Ward

pytestmark = pytest.mark.promise("R06")


def refused(ward: Ward, seat: str = "anna") -> tuple[ErrorCode, str]:
    fault = ward.last(seat)
    assert isinstance(fault, wire.Fault)
    assert fault.field == "bed_user"
    return fault.code, fault.message


def happened(ward: Ward, request_id: str) -> list[Happened]:
    return [entry.what for entry in ward.timelines[request_id]]


def test_a_call_goes_to_the_bed_which_rings_answers_and_invites() -> None:
    ward = ward_of()
    call_id = calls(ward)
    told = ward.all_of("bed-1", wire.SeatCalls)[-1]
    assert (told.call_id, told.seat, told.seat_name, told.call_type, told.ring_timeout_ms) == (
        call_id,
        "anna",
        "Anna",
        CallType.AUDIO,
        30_000,
    )
    assert view(ward) == [("called", Origin.SEAT, "anna")]
    assert ward.seat_state("anna") is SeatState.RINGING
    answers(ward)
    assert ward.all_of("anna", wire.Ringing) == [wire.Ringing(call_id=call_id)]
    assert ward.all_of("anna", wire.IncomingCall)[-1].call_id == call_id
    assert ward.all_of("bed-1", wire.Accepted)[-1].call_type is CallType.AUDIO, "no more than was asked for"
    assert view(ward) == [("talking", Origin.SEAT, "anna")]
    ward.says("anna", wire.Hangup(call_id=call_id))
    assert view(ward) == []
    assert ward.desk.ledger.requests == {}
    assert happened(ward, told.request_id) == [
        Happened.CALLED,
        Happened.RANG,
        Happened.ANSWERED,
        Happened.CLOSED,
    ]
    closed = ward.timelines[told.request_id][-1]
    assert (closed.reason, closed.seat, closed.call_id) == ("hangup", "anna", call_id)
    ward.waits(10)
    assert ward.seat_state("anna") is SeatState.REST, "as the person had chosen"


def test_nothing_is_escalated_or_queued_for_a_bed_that_has_not_asked() -> None:
    ward = ward_of(overdue_s=10.0)
    calls(ward)
    assert not any(timer.what in ("escalate", "alert", "invite") for timer in ward.timers)
    ward.waits(31)
    assert ward.all_of("bed-1", wire.CallEnded)[-1].reason is EndReason.NO_RESPONSE
    assert ward.desk.ledger.requests == {}
    assert ward.all_of("bed-1", wire.LocalAlarm) == []


@pytest.mark.parametrize(
    ("message", "who", "reason"),
    [
        (wire.Cancel, "anna", EndReason.CANCELLED),
        (wire.Hangup, "anna", EndReason.CANCELLED),
        (wire.Reject, "bed-1", EndReason.REJECTED),
        (wire.Cancel, "bed-1", EndReason.REJECTED),
        (wire.Hangup, "bed-1", EndReason.REJECTED),
        (wire.LineBusy, "bed-1", EndReason.LINE_BUSY),
        (wire.CallFailed, "bed-1", EndReason.FAILED),
    ],
)
def test_either_end_may_end_it_before_it_is_answered(
    message: type[wire.Cancel], who: str, reason: EndReason
) -> None:
    ward = ward_of()
    call_id = calls(ward)
    ward.says(who, message(call_id=call_id))
    for user in ("anna", "bed-1"):
        assert ward.all_of(user, wire.CallEnded)[-1].reason is reason
    assert ward.desk.ledger.requests == {}
    assert ward.seat_state("anna") is SeatState.REST


def test_the_seat_that_calls_cannot_reject_and_a_bed_that_was_not_called_does_not_ring() -> None:
    ward = ward_of("bed-1", "bed-2")
    call_id = calls(ward)
    ward.says("anna", wire.Reject(call_id=call_id))
    ward.says("bed-2", wire.Ringing(call_id=call_id))
    for user in ("anna", "bed-2"):
        fault = ward.last(user)
        assert isinstance(fault, wire.Fault)
        assert fault.code is ErrorCode.STALE_CALL
    answers(ward)
    ward.says("bed-1", wire.Ringing(call_id=call_id))
    assert isinstance(ward.last("bed-1"), wire.Fault), "it has answered already"


@pytest.mark.parametrize("lost", ["anna", "bed-1"])
def test_an_end_that_is_lost_before_the_answer_ends_it(lost: str) -> None:
    ward = ward_of()
    calls(ward)
    ward.does(Left(lost))
    assert ward.desk.ledger.leases == {}
    assert ward.desk.ledger.requests == {}


# -- who may be called


def test_a_bed_of_another_group_an_http_client_and_nobody_cannot_be_called() -> None:
    ward = ward_of()
    ward.bed("bed-9", "ward-9")
    ward.says("anna", wire.SetSeatState(state="free"))
    ward.does(SeatAsked("app-7", OpenRequest(request_id="r7", age=0), wire.BedInfo(group="ward")))
    ward.seat("bert")
    for bed in ("bed-9", "app-7", "nobody"):
        ward.says("bert", wire.CallBed(bed_user=bed))
        assert refused(ward, "bert")[0] is ErrorCode.UNKNOWN_BED


def test_a_seat_that_rings_or_talks_calls_nobody_else() -> None:
    ward = ward_of("bed-1", "bed-2")
    calls(ward)
    ward.says("anna", wire.CallBed(bed_user="bed-2"))
    assert refused(ward) == (ErrorCode.NOT_ALLOWED, "your seat is ringing: finish that call first")


def test_a_bed_that_is_away_is_not_called() -> None:
    ward = ward_of()
    ward.does(Left("bed-1"))
    ward.says("anna", wire.CallBed(bed_user="bed-1"))
    assert refused(ward) == (ErrorCode.NOT_ALLOWED, "the bed is not connected: go there")


def test_a_bed_that_somebody_speaks_with_or_rings_for_is_not_called() -> None:
    ward = ward_of()
    ward.seat("bert")
    ward.press("bed-1")
    ward.says("anna", wire.CallBed(bed_user="bed-1"))
    assert refused(ward)[1] == "somebody else speaks with this bed, or is being called for it"
    ward.talks("bed-1")
    ward.says("anna", wire.CallBed(bed_user="bed-1"))
    assert refused(ward)[0] is ErrorCode.NOT_ALLOWED


def test_a_bed_whose_patient_waits_is_not_called_but_taken() -> None:
    ward = ward_of()
    ward.press("bed-1")
    ward.says("anna", wire.CallBed(bed_user="bed-1"))
    assert ward.all_of("bed-1", wire.SeatCalls) == []
    assert ward.all_of("bed-1", wire.Allocated)[-1].seat == "anna"
    assert ward.rings("bed-1") == "anna"
    assert ward.state("r-bed-1") is RequestState.RINGING


# -- a request that was answered


def answered(ward: Ward) -> None:
    ward.says("anna", wire.SetSeatState(state="free"))
    ward.press("bed-1")
    lease = ward.talks("bed-1")
    ward.says("anna", wire.Hangup(call_id=lease.call_id))
    assert ward.state("r-bed-1") is RequestState.ANSWERED


def test_an_answered_request_stays_answered_while_its_bed_is_called_about_it() -> None:
    ward = ward_of()
    answered(ward)
    call_id = calls(ward)
    assert ward.all_of("bed-1", wire.SeatCalls)[-1].request_id == "r-bed-1"
    assert view(ward) == [("called", Origin.CALL_BUTTON, "anna")]
    ward.says("bed-1", wire.Reject(call_id=call_id))
    assert ward.state("r-bed-1") is RequestState.ANSWERED
    assert view(ward) == [("answered", Origin.CALL_BUTTON, None)]
    call_id = calls(ward, call_type=CallType.VIDEO)
    answers(ward)
    assert ward.all_of("bed-1", wire.Accepted)[-1].call_type is CallType.VIDEO
    ward.says("anna", wire.Hangup(call_id=call_id))
    assert ward.state("r-bed-1") is RequestState.ANSWERED
    assert happened(ward, "r-bed-1")[-6:] == [
        Happened.CALLED,
        Happened.NOT_TAKEN,
        Happened.CALLED,
        Happened.RANG,
        Happened.ANSWERED,
        Happened.ENDED,
    ]


@pytest.mark.promise("R01")
def test_a_second_talk_that_breaks_makes_the_request_wait_again() -> None:
    ward = ward_of()
    answered(ward)
    calls(ward)
    call_id = answers(ward)
    ward.says("bed-1", wire.CallFailed(call_id=call_id))
    assert ward.state("r-bed-1") is RequestState.WAITING


def test_a_press_that_comes_before_the_bed_knew_goes_first() -> None:
    ward = ward_of()
    answered(ward)
    call_id = calls(ward)
    told = OpenRequest(request_id="r-bed-1", age=500, presses=2, phase=Phase.ANSWERED)
    ward.says("bed-1", wire.Request(request=told))
    assert ward.lease("bed-1").call_id == call_id, "what is only told again ends nothing"
    ward.press("bed-1", presses=2)
    assert ward.all_of("anna", wire.CallEnded)[-1].reason is EndReason.LINE_BUSY
    assert ward.state("r-bed-1") is RequestState.RINGING, "anna is free, and the first to be asked"


# -- a press meanwhile


def test_a_request_that_crosses_the_call_of_a_seat_goes_first() -> None:
    ward = ward_of()
    calls(ward)
    ward.press("bed-1", "r1")
    assert list(ward.desk.ledger.requests) == ["r1"]
    assert ward.all_of("anna", wire.CallEnded)[-1].reason is EndReason.LINE_BUSY
    assert ward.state("r1") is RequestState.WAITING


def test_a_bed_that_restarts_in_the_talk_and_asks_has_lost_the_talk() -> None:
    ward = ward_of()
    calls(ward)
    answers(ward)
    ward.bed("bed-1", request=OpenRequest(request_id="r1", age=0))
    assert ward.all_of("anna", wire.CallEnded)[-1].reason is EndReason.BED_LOST
    assert list(ward.desk.ledger.requests) == ["r1"]


@pytest.mark.promise("R01")
def test_a_press_in_the_talk_makes_it_the_patients_request() -> None:
    ward = ward_of()
    calls(ward)
    call_id = answers(ward)
    request_id = ward.lease("bed-1").request_id
    told = OpenRequest(request_id=request_id, age=0, phase=Phase.TALKING, call_id=call_id, call_seat="anna")
    ward.says("bed-1", wire.Request(request=told))
    assert view(ward) == [("talking", Origin.CALL_BUTTON, "anna")]
    ward.says("anna", wire.Hangup(call_id=call_id))
    assert ward.state(request_id) is RequestState.ANSWERED
    assert happened(ward, request_id)[-3:] == [Happened.RAISED, Happened.ACKNOWLEDGED, Happened.ENDED]
    ward.says("bed-1", wire.CloseRequest(request_id=request_id, reason=CloseReason.ATTENDED))
    assert ward.desk.ledger.requests == {}


@pytest.mark.promise("R15")
def test_an_emergency_takes_the_seat_from_a_bed_that_only_rings() -> None:
    ward = ward_of("bed-1", "bed-2", "bed-3")
    calls(ward)
    ward.press("bed-2", priority=Priority.EMERGENCY)
    assert ward.lease("bed-1").seat == "anna", "who rests is not allocated"
    ward.says("bed-2", wire.CloseRequest(request_id="r-bed-2", reason=CloseReason.ATTENDED))
    ward.says("anna", wire.Cancel(call_id=ward.lease("bed-1").call_id))
    ward.says("anna", wire.SetSeatState(state="free"))
    calls(ward)
    ward.press("bed-2", priority=Priority.EMERGENCY)
    assert ward.all_of("bed-1", wire.CallEnded)[-1].reason is EndReason.PREEMPTED
    assert ward.lease("bed-2").seat == "anna"


# -- finding a bed


def found(ward: Ward, text: str) -> wire.Beds:
    ward.says("anna", wire.FindBeds(text=text))
    return ward.all_of("anna", wire.Beds)[-1]


def test_beds_are_found_by_any_words_of_their_place() -> None:
    ward = ward_of()
    for room, bed in (("301", "1"), ("301", "2"), ("302", "1")):
        info = wire.BedInfo(group="ward", ward="Ward 3", room=room, bed=bed)
        ward.says(f"k-{room}-{bed}", wire.Snapshot(bed=info))
    ward.bed("elsewhere", "ward-9")
    ward.does(Left("k-302-1"))
    ward.press("k-301-2", "r1")
    assert [bed.user_id for bed in found(ward, "").beds] == ["k-301-1", "k-301-2", "k-302-1", "bed-1"]
    assert [bed.user_id for bed in found(ward, "WARD 301").beds] == ["k-301-1", "k-301-2"]
    second = found(ward, "301 2").beds[0]
    assert (second.user_id, second.room, second.bed, second.request_id) == ("k-301-2", "301", "2", "r1")
    assert [(bed.online, bed.request_id) for bed in found(ward, "302").beds] == [(False, None)]
    assert found(ward, "elsewhere").beds == ()


def test_of_very_many_beds_the_first_are_told_and_how_many_more_there_are() -> None:
    ward = ward_of(*(f"bed-{number:03}" for number in range(MAX_FOUND + 7)))
    told = found(ward, "bed")
    assert (len(told.beds), told.more) == (MAX_FOUND, 7)


def test_a_bed_that_ones_group_helps_by_now_may_be_found_and_called() -> None:
    ward = Ward(overdue_s=10.0, backup_after_s=20.0, local_alarm_s=30.0, backup_groups={"ward": "ward-4"})
    ward.seat("carl", "ward-4", free=False)
    ward.bed("bed-1")
    ward.press("bed-1")
    ward.says("carl", wire.CallBed(bed_user="bed-1"))
    assert refused(ward, "carl")[0] is ErrorCode.UNKNOWN_BED
    ward.waits(25)
    ward.says("carl", wire.CallBed(bed_user="bed-1"))
    assert ward.lease("bed-1").seat == "carl"
