"""What arrives late, twice or from the wrong one, and the door for plain HTTP clients."""

from __future__ import annotations

import pytest

from kiosk.desk.allocation_events import (
    AllBusy,
    Effect,
    Reserved,
    SeatAsked,
    SeatReturned,
    TimedOut,
    Timer,
)
from kiosk.desk.ledger import Lease, RequestState, Rules
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import (
    CallType,
    ErrorCode,
    OpenRequest,
    SeatState,
)
from tests.unit.desk_model import Ward


@pytest.mark.promise("R09")
@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("anna", wire.Accept(call_id="old")),
        ("anna", wire.Reject(call_id="old")),
        ("anna", wire.Answer(call_id="old", sdp="v=0")),
        ("anna", wire.MediaState(call_id="old", audio=True, video=True)),
        ("bed-1", wire.SwitchToAudio(call_id="old")),
        ("bed-1", wire.Invite(call_id="old", fence=1, call_type=CallType.AUDIO, sdp="v=0")),
    ],
)
def test_what_is_late_is_refused_in_words(ward: Ward, user: str, message: wire.Message) -> None:
    ward.says(user, message)
    fault = ward.last(user)
    assert isinstance(fault, wire.Fault)
    assert (fault.code, fault.call_id) == (ErrorCode.STALE_CALL, "old")


@pytest.mark.promise("R09")
@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("anna", wire.Hangup(call_id="old")),
        ("anna", wire.LineBusy(call_id="old")),
        ("anna", wire.CallFailed(call_id="old")),
        ("anna", wire.Candidate(call_id="old", candidate="")),
        ("anna", wire.Quality(call_id="old", quality=wire.QualityLevel.GOOD)),
        ("bed-1", wire.Quality(call_id="old", quality=wire.QualityLevel.GOOD)),
        ("bed-1", wire.Cancel(call_id="old")),
    ],
)
def test_what_is_late_but_true_does_no_harm(ward: Ward, user: str, message: wire.Message) -> None:
    heard = len(ward.heard.get(user, []))
    ward.says(user, message)
    assert len(ward.heard.get(user, [])) == heard


@pytest.mark.promise("R09")
def test_an_invitation_with_an_old_fence_or_sent_twice_is_refused(ward: Ward) -> None:
    ward.press("bed-1")
    lease = ward.lease("bed-1")
    for fence, code in (
        (lease.fence - 1, ErrorCode.STALE_CALL),
        (lease.fence, None),
        (lease.fence, ErrorCode.OUT_OF_ORDER),
    ):
        ward.says(
            "bed-1",
            wire.Invite(call_id=lease.call_id, fence=fence, call_type=CallType.VIDEO, sdp="o"),
        )
        last = ward.last("bed-1")
        assert (last.code if isinstance(last, wire.Fault) else None) is code


def test_a_seat_cannot_reject_what_it_accepted_nor_answer_before_it_rings(ward: Ward) -> None:
    ward.press("bed-1")
    call_id = ward.lease("bed-1").call_id
    ward.says("anna", wire.Answer(call_id=call_id, sdp="v=0"))
    assert isinstance(ward.last("anna"), wire.Fault)
    ward.talks("bed-1")
    ward.says("anna", wire.Reject(call_id=call_id))
    assert isinstance(ward.last("anna"), wire.Fault)
    ward.says("anna", wire.LineBusy(call_id=call_id))
    ward.says("bed-1", wire.Cancel(call_id=call_id))
    assert ward.state("r-bed-1") is RequestState.TALKING


def test_answers_and_candidates_are_passed_on_without_their_id(ward: Ward) -> None:
    ward.press("bed-1")
    ward.rings("bed-1")
    call_id = ward.lease("bed-1").call_id
    ward.says("anna", wire.Answer(id="7", call_id=call_id, sdp="answer"))
    assert ward.last("bed-1") == wire.Answer(call_id=call_id, sdp="answer")
    ward.says("bed-1", wire.Candidate(call_id=call_id, candidate="c"))
    assert ward.last("anna") == wire.Candidate(call_id=call_id, candidate="c")


def test_how_good_the_connection_is_at_one_end_is_told_to_the_other(ward: Ward) -> None:
    ward.press("bed-1")
    call_id = ward.talks("bed-1").call_id
    measured = wire.Quality(call_id=call_id, quality=wire.QualityLevel.POOR, loss_in=0.05)
    for sender, receiver in (("bed-1", "anna"), ("anna", "bed-1")):
        ward.says(sender, measured)
        assert ward.last(receiver) == measured


@pytest.mark.promise("R10")
def test_a_failed_talk_goes_to_another_seat_first(ward: Ward) -> None:
    ward.press("bed-1")
    lease = ward.talks("bed-1")
    ward.says("bed-1", wire.CallFailed(call_id=lease.call_id, why="ICE failed", spoken=True))
    assert ward.desk.ledger.requests["r-bed-1"].told.spoken
    assert ward.rings("bed-1") == "bert"


def test_a_kiosk_speaks_after_its_snapshot_only(ward: Ward) -> None:
    ward.press("bed-9")
    fault = ward.last("bed-9")
    assert isinstance(fault, wire.Fault)
    assert (fault.code, fault.field) == (ErrorCode.OUT_OF_ORDER, "type")
    ward.says("anna", wire.Snapshot(bed=wire.BedInfo(group="ward")))
    fault = ward.last("anna")
    assert isinstance(fault, wire.Fault)
    assert fault.code is ErrorCode.NOT_ALLOWED


def test_a_ringing_seat_cannot_step_away_without_a_word(ward: Ward) -> None:
    ward.press("bed-1")
    ward.says("anna", wire.SetSeatState(state="rest"))
    fault = ward.last("anna")
    assert isinstance(fault, wire.Fault)
    assert fault.message == "a seat that is ringing cannot become rest"
    assert ward.seat_state("anna") is SeatState.RINGING


def test_a_seat_may_rest_and_end_its_wrap_up_early(ward: Ward) -> None:
    ward.says("anna", wire.SetSeatState(state="rest"))
    assert ward.seat_state("anna") is SeatState.REST
    ward.press("bed-1")
    ward.says("bert", wire.Hangup(call_id=ward.talks("bed-1").call_id))
    ward.says("bert", wire.SetSeatState(state="free"))
    assert Timer("wrap_up", "bert") not in ward.timers
    assert ward.seat_state("bert") is SeatState.FREE


def test_timers_that_ran_out_too_late_find_nothing_to_do(ward: Ward) -> None:
    ward.press("bed-1")
    lease = ward.talks("bed-1")
    for what, whose in (
        ("ring", lease.call_id),
        ("ring", "old"),
        ("wrap_up", "anna"),
        ("wrap_up", "nobody"),
        ("round", "nobody"),
        ("grace", "bert"),
        ("grace", "anna"),
    ):
        ward.does(TimedOut(Timer(what, whose)))
    assert ward.lease("bed-1") == lease
    assert ward.seat_state("anna") is SeatState.BUSY


def test_a_fault_of_a_device_is_seen_at_the_seats(ward: Ward) -> None:
    ward.press("bed-1")
    ward.says("bed-1", wire.DeviceState(devices=wire.Devices(camera="unplugged")))
    board = ward.desk.ledger.board(ward.desk.ledger.seats["bert"], now=ward.now, rules=Rules())
    assert board.requests[0].devices.camera == "unplugged"
    assert [seat.user_id for seat in board.seats] == ["anna"]


# -- plain HTTP


ASKED = SeatAsked("app-1", OpenRequest(request_id="h1", age=0), wire.BedInfo(group="ward"))


def reserved(effects: list[Effect]) -> Lease:
    return next(effect.lease for effect in effects if isinstance(effect, Reserved))


def test_an_http_client_reserves_a_seat_for_the_ring_time(ward: Ward) -> None:
    lease = reserved(ward.does(ASKED))
    assert lease.seat == "anna"
    ward.passes(Timer("ring", lease.call_id))
    assert not ward.desk.ledger.requests, "an HTTP reservation is never queued"
    assert ward.seat_state("anna") is SeatState.FREE


def test_an_http_client_is_told_clearly_that_all_are_busy() -> None:
    ward = Ward()
    assert ward.does(ASKED) == [AllBusy()]
    assert not ward.desk.ledger.requests


def test_an_http_client_gives_a_reservation_back_or_asks_anew(ward: Ward) -> None:
    first = reserved(ward.does(ASKED))
    second = reserved(ward.does(ASKED))
    assert first.call_id not in ward.desk.ledger.leases
    ward.does(SeatReturned("stranger", second.call_id))
    assert second.call_id in ward.desk.ledger.leases
    for _ in range(2):
        ward.does(SeatReturned("app-1", second.call_id))
    assert not ward.desk.ledger.leases
    assert list(ward.desk.ledger.beds) == ["bed-1"], "a client that holds nothing is forgotten"


def test_a_kiosk_may_ask_over_http_too_and_stays_the_bed_it_is(ward: Ward) -> None:
    bed = ward.desk.ledger.beds["bed-1"]
    asked = SeatAsked("bed-1", OpenRequest(request_id="h1", age=0), wire.BedInfo(group="ward", room="elsewhere"))
    lease = reserved(ward.does(asked))
    ward.does(SeatReturned("bed-1", lease.call_id))
    assert ward.desk.ledger.beds["bed-1"] is bed
