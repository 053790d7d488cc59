"""Links are lost and come back: the kiosk is the truth about its request, the desk about seats."""

from __future__ import annotations

import pytest

from kiosk.desk.allocation_events import (
    Left,
    Timer,
)
from kiosk.desk.ledger import RequestState, Rules
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import (
    CloseReason,
    EndReason,
    OpenRequest,
    Phase,
    Priority,
    SeatState,
)
from tests.unit.desk_model import Ward


@pytest.mark.promise("R01")
def test_a_bed_that_is_gone_keeps_its_request_and_frees_the_seat(ward: Ward) -> None:
    ward.press("bed-1")
    ward.rings("bed-1")
    ward.does(Left("bed-1"))
    assert ward.seat_state("anna") is SeatState.FREE
    assert ward.state("r-bed-1") is RequestState.WAITING
    assert not ward.desk.ledger.leases, "a bed without a link cannot be called"
    board = ward.desk.ledger.board(ward.desk.ledger.seats["bert"], now=ward.now, rules=Rules())
    assert (board.requests[0].online, board.beds_offline, board.beds_online) == (False, ("bed-1",), 0)
    ward.bed("bed-1", request=OpenRequest(request_id="r-bed-1", age=2000))
    assert ward.lease("bed-1").seat == "anna", "she has declined nothing"


@pytest.mark.parametrize("talked", [False, True])
def test_when_a_bed_crashed_in_a_call_its_seat_rings_again_as_soon_as_it_is_back(talked: bool) -> None:
    ward = Ward(wrap_up_s=0)
    ward.seat("anna")
    ward.bed("bed-1")
    ward.press("bed-1")
    ward.talks("bed-1") if talked else ward.rings("bed-1")
    ward.does(Left("bed-1"))
    ward.bed("bed-1", request=OpenRequest(request_id="r-bed-1", age=2000))
    assert ward.rings("bed-1") == "anna", "nobody else is there, and the patient waits"


def test_a_talk_outlives_the_beds_link(ward: Ward) -> None:
    ward.press("bed-1")
    lease = ward.talks("bed-1")
    ward.does(Left("bed-1"))
    assert ward.state("r-bed-1") is RequestState.TALKING
    told = OpenRequest(
        request_id="r-bed-1",
        age=0,
        phase=Phase.TALKING,
        call_id=lease.call_id,
        call_seat="anna",
        fence=lease.fence,
    )
    ward.bed("bed-1", request=told)
    assert ward.lease("bed-1").call_id == lease.call_id
    assert ward.state("r-bed-1") is RequestState.TALKING


def test_a_page_that_is_back_in_time_keeps_its_call(ward: Ward) -> None:
    ward.press("bed-1")
    lease = ward.talks("bed-1")
    ward.does(Left("anna"))
    assert ward.seat_state("anna") is SeatState.BUSY
    ward.seat("anna", free=False, call_id=lease.call_id)
    assert Timer("grace", "anna") not in ward.timers
    assert ward.seat_state("anna") is SeatState.BUSY
    assert ward.lease("bed-1") == lease


@pytest.mark.promise("R01")
def test_a_page_that_stays_away_loses_its_call_and_the_request_rings_elsewhere(ward: Ward) -> None:
    ward.press("bed-1")
    lease = ward.talks("bed-1")
    ward.does(Left("anna"))
    ward.passes(Timer("grace", "anna"))
    assert ward.seat_state("anna") is SeatState.OFFLINE
    assert ward.rings("bed-1") == "bert"
    assert any(ended.reason is EndReason.SEAT_LOST for ended in ward.all_of("bed-1", wire.CallEnded)), lease


def test_a_reloaded_page_has_lost_its_call(ward: Ward) -> None:
    ward.press("bed-1")
    ward.talks("bed-1")
    ward.seat("anna", free=False)
    assert ward.seat_state("anna") is SeatState.NOT_READY
    assert ward.rings("bed-1") == "bert"


def test_signing_in_again_starts_not_ready(ward: Ward) -> None:
    ward.seat("anna", free=False)
    assert ward.seat_state("anna") is SeatState.NOT_READY
    ward.does(Left("anna"))
    assert ward.seat_state("anna") is SeatState.OFFLINE
    ward.does(Left("anna"))
    ward.does(Left("stranger"))
    assert ward.seat_state("anna") is SeatState.OFFLINE


# -- snapshots: the kiosk is the truth


def test_a_desk_that_was_restarted_learns_everything_from_the_snapshot() -> None:
    ward = Ward()
    ward.seat("anna")
    ward.bed("bed-1", request=OpenRequest(request_id="r1", age=65_000, presses=4))
    assert ward.rings("bed-1") == "anna"
    assert ward.all_of("anna", wire.IncomingCall)[-1].request.age == 65_000
    ward.bed("bed-2", request=OpenRequest(request_id="r2", age=1, phase=Phase.ANSWERED))
    assert ward.state("r2") is RequestState.ANSWERED


TALKING = OpenRequest(request_id="r1", age=0, phase=Phase.TALKING, call_id="old", call_seat="anna", fence=5000)


def test_a_talk_that_a_restarted_desk_does_not_know_goes_on_when_the_bed_comes_first() -> None:
    ward = Ward()
    ward.bed("bed-1", request=TALKING)
    assert ward.state("r1") is RequestState.TALKING
    ward.seat("anna", free=False, call_id="old")
    assert ward.seat_state("anna") is SeatState.BUSY
    ward.bed("bed-2")
    ward.seat("bert")
    ward.press("bed-2")
    assert ward.lease("bed-2").fence > 5000, "fences rise across desks"


def test_a_talk_that_a_restarted_desk_does_not_know_goes_on_when_the_seat_comes_first() -> None:
    ward = Ward()
    ward.seat("anna", free=False, call_id="old")
    ward.bed("bed-1", request=TALKING)
    assert ward.state("r1") is RequestState.TALKING
    assert ward.seat_state("anna") is SeatState.BUSY


def test_a_talk_with_a_seat_that_never_comes_back_ends() -> None:
    ward = Ward()
    ward.bed("bed-1", request=TALKING)
    ward.passes(Timer("grace", "anna"))
    assert ward.state("r1") is RequestState.WAITING


def test_a_talk_with_a_page_that_is_not_in_it_ends() -> None:
    ward = Ward()
    ward.seat("anna")
    ward.bed("bed-1", request=TALKING)
    assert wire.CallEnded(call_id="old", reason=EndReason.SEAT_LOST) in ward.heard["bed-1"]


def test_a_talk_that_the_seat_hung_up_meanwhile_is_over(ward: Ward) -> None:
    ward.press("bed-1")
    lease = ward.talks("bed-1")
    ward.does(Left("bed-1"))
    ward.says("anna", wire.Hangup(call_id=lease.call_id))
    told = OpenRequest(request_id="r-bed-1", age=0, phase=Phase.TALKING, call_id=lease.call_id, call_seat="anna")
    ward.bed("bed-1", request=told)
    assert ward.last("bed-1") == wire.CallEnded(call_id=lease.call_id, reason=EndReason.HANGUP)
    assert ward.state("r-bed-1") is RequestState.ANSWERED


def test_a_bed_that_hung_up_or_broke_off_meanwhile_is_believed(ward: Ward) -> None:
    ward.press("bed-1")
    ward.talks("bed-1")
    ward.does(Left("bed-1"))
    ward.bed("bed-1", request=OpenRequest(request_id="r-bed-1", age=0, phase=Phase.ANSWERED))
    assert ward.state("r-bed-1") is RequestState.ANSWERED
    ward.bed("bed-1", request=OpenRequest(request_id="r-bed-1", age=0, phase=Phase.ANSWERED))
    assert ward.state("r-bed-1") is RequestState.ANSWERED
    ward.bed("bed-1", request=OpenRequest(request_id="r-bed-1", age=0))
    ward.talks("bed-1")
    ward.bed("bed-1", request=OpenRequest(request_id="r-bed-1", age=0))
    assert ward.state("r-bed-1") is not RequestState.TALKING


def test_a_request_closed_while_offline_is_closed_on_return(ward: Ward) -> None:
    ward.press("bed-1")
    ward.does(Left("bed-1"))
    closed = wire.ClosedRequest(request_id="r-bed-1", reason=CloseReason.ATTENDED)
    ward.bed("bed-1", closed=(closed,))
    assert not ward.desk.ledger.requests
    assert ward.last("bed-1") == wire.RequestClosed(request_id="r-bed-1", reason=CloseReason.ATTENDED)


@pytest.mark.parametrize("talked", [False, True])
def test_a_request_that_its_kiosk_forgot_is_given_back(ward: Ward, talked: bool) -> None:
    ward.press("bed-1", presses=2)
    if talked:
        ward.talks("bed-1")
    ward.now += 3
    ward.bed("bed-1")
    (held,) = ward.all_of("bed-1", wire.RequestHeld)
    assert (held.request.request_id, held.request.age, held.request.presses) == ("r-bed-1", 3000, 2)
    assert ward.rings("bed-1")


def test_an_answered_request_is_given_back_as_answered(ward: Ward) -> None:
    ward.press("bed-1")
    ward.says("anna", wire.Hangup(call_id=ward.talks("bed-1").call_id))
    ward.bed("bed-1")
    assert ward.all_of("bed-1", wire.RequestHeld)[-1].request.phase is Phase.ANSWERED


def test_a_request_to_be_asked_again_is_served_when_its_kiosk_forgot_it() -> None:
    ward = Ward(queue=False)
    ward.bed("bed-1")
    ward.press("bed-1")
    ward.seat("anna")
    assert ward.state("r-bed-1") is RequestState.DEFERRED
    ward.bed("bed-1")
    assert ward.rings("bed-1") == "anna", "the patient no longer knows that the button must be pressed again"


def test_a_bed_that_says_answered_is_believed_and_the_next_seat_need_not_ring(ward: Ward) -> None:
    ward.press("bed-1")
    lost = ward.talks("bed-1")
    ward.does(Left(lost.seat))
    ward.passes(Timer("grace", lost.seat))
    assert ward.seat_state("bert") is SeatState.RINGING
    # The patient hung up before the desk's word arrived that the seat was lost.
    ward.says("bed-1", wire.Hangup(call_id=lost.call_id))
    ward.press("bed-1", phase=Phase.ANSWERED)
    assert ward.state("r-bed-1") is RequestState.ANSWERED
    assert ward.seat_state("bert") is SeatState.FREE
    ward.press("bed-1", phase=Phase.ANSWERED)
    assert ward.state("r-bed-1") is RequestState.ANSWERED


@pytest.mark.parametrize("talked", [False, True])
def test_a_new_request_of_a_bed_inherits_the_forgotten_one(ward: Ward, talked: bool) -> None:
    ward.press("bed-1", priority=Priority.URGENT)
    opened_at = ward.desk.ledger.requests["r-bed-1"].opened_at
    if talked:
        ward.talks("bed-1")
    ward.now += 60
    ward.bed("bed-1", request=OpenRequest(request_id="new", age=0))
    (request,) = ward.desk.ledger.requests.values()
    assert (request.told.request_id, request.told.priority) == ("new", Priority.URGENT)
    assert request.opened_at == opened_at
    assert ward.rings("bed-1")
