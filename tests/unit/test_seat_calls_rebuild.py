"""A seat has called a bed, and the desk or an end is started anew: the talk goes on where both ends are in it."""

from __future__ import annotations

import pytest

from kiosk.desk.allocation_events import Timer
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CloseReason, EndReason, ErrorCode, OpenRequest, Origin, Phase, SeatState
from tests.unit.called_beds import answers, calls, view, ward_of
from tests.unit.desk_model import Ward

pytestmark = pytest.mark.promise("R06")


def talk_told(call_id: str = "c9", seat: str = "anna", phase: Phase = Phase.TALKING) -> OpenRequest:
    return OpenRequest(
        request_id="seat-9",
        age=9000,
        origin=Origin.SEAT,
        phase=phase,
        call_id=call_id,
        call_seat=seat,
        fence=5000,
    )


def test_a_desk_that_was_just_started_goes_on_with_a_talk_that_a_seat_began() -> None:
    ward = Ward()
    ward.seat("anna", call_id="c9", free=False)
    ward.bed("bed-1", request=talk_told())
    assert view(ward) == [("talking", Origin.SEAT, "anna")]
    assert ward.seat_state("anna") is SeatState.BUSY
    ward.bed("bed-1", request=talk_told())
    ward.says("anna", wire.Hangup(call_id="c9"))
    assert ward.desk.ledger.requests == {}


def test_a_talk_whose_seat_is_in_no_call_is_over_and_nobody_waits() -> None:
    ward = Ward()
    ward.seat("anna")
    ward.bed("bed-1", request=talk_told())
    assert ward.all_of("bed-1", wire.CallEnded)[-1].reason is EndReason.SEAT_LOST
    assert ward.desk.ledger.requests == {}
    assert ward.seat_state("anna") is SeatState.FREE


def test_a_bed_cannot_claim_to_talk_with_another_bed() -> None:
    ward = Ward()
    ward.bed("bed-2")
    ward.bed("bed-1", request=talk_told(seat="bed-2"))
    assert ward.desk.ledger.leases == {}
    assert ward.all_of("bed-2", wire.CallEnded) == []


def test_a_seat_that_does_not_come_back_to_its_talk_ends_it() -> None:
    ward = Ward()
    ward.bed("bed-1", request=talk_told())
    assert Timer("grace", "anna") in ward.timers
    ward.waits(60)
    assert ward.all_of("bed-1", wire.CallEnded)[-1].reason is EndReason.SEAT_LOST
    assert ward.desk.ledger.requests == {}


def test_a_bed_that_restarts_in_such_a_talk_has_nothing_to_go_on_with() -> None:
    ward = ward_of()
    calls(ward)
    answers(ward)
    ward.bed("bed-1")
    assert ward.all_of("anna", wire.CallEnded)[-1].reason is EndReason.BED_LOST
    assert ward.desk.ledger.requests == {}
    assert ward.all_of("bed-1", wire.RequestHeld) == []


def test_a_seats_call_is_no_request_whoever_says_so_and_hides_none() -> None:
    ward = ward_of()
    ward.says("bed-1", wire.Request(request=talk_told()))
    fault = ward.last("bed-1")
    assert isinstance(fault, wire.Fault)
    assert (fault.code, fault.field) == (ErrorCode.NOT_ALLOWED, "request.origin")
    ward.bed("bed-1", request=talk_told(phase=Phase.WAITING))
    assert ward.desk.ledger.requests == {}
    ward.press("bed-1", "r1")
    ward.bed("bed-1", request=talk_told())
    assert list(ward.desk.ledger.requests) == ["r1"]
    assert ward.all_of("bed-1", wire.RequestHeld)[-1].request.request_id == "r1"


def test_a_bed_that_closes_what_nobody_asked_for_ends_the_call() -> None:
    ward = ward_of()
    calls(ward)
    request_id = ward.lease("bed-1").request_id
    ward.says("bed-1", wire.CloseRequest(request_id=request_id, reason=CloseReason.CANCELLED))
    assert ward.desk.ledger.requests == {}
    assert ward.all_of("anna", wire.CallEnded)[-1].reason is EndReason.CANCELLED
    assert ward.all_of("bed-1", wire.RequestClosed)[-1].request_id == request_id
