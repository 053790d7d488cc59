"""A dead media path at the desk: a new offer reaches the seat of the talk and nobody else."""

from __future__ import annotations

import pytest

from kiosk.desk.allocation_events import Left
from kiosk.desk.ledger import RequestState
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import EndReason, ErrorCode, OpenRequest, Phase, SeatState
from tests.unit.desk_model import Ward


@pytest.fixture
def ward() -> Ward:
    ward = Ward()
    for seat in ("anna", "bert"):
        ward.seat(seat)
    for bed in ("bed-1", "bed-2"):
        ward.bed(bed)
    ward.press("bed-1")
    return ward


def test_a_new_offer_and_the_seats_word_are_passed_on_within_the_talk(ward: Ward) -> None:
    call_id = ward.talks("bed-1").call_id
    ward.says("anna", wire.MediaStalled(call_id=call_id))
    assert ward.last("bed-1") == wire.MediaStalled(call_id=call_id)
    ward.says("bed-1", wire.Rebuild(id="7", call_id=call_id, connection=1, sdp="offer"))
    assert ward.last("anna") == wire.Rebuild(call_id=call_id, connection=1, sdp="offer")
    ward.says("anna", wire.Answer(call_id=call_id, sdp="answer", connection=1))
    assert ward.last("bed-1") == wire.Answer(call_id=call_id, sdp="answer", connection=1)
    assert ward.state("r-bed-1") is RequestState.TALKING


def test_a_call_that_only_rings_cannot_be_rebuilt(ward: Ward) -> None:
    ward.rings("bed-1")
    heard = len(ward.heard["anna"])
    ward.says("bed-1", wire.Rebuild(call_id=ward.lease("bed-1").call_id, connection=1, sdp="offer"))
    fault = ward.last("bed-1")
    assert isinstance(fault, wire.Fault)
    assert fault.code is ErrorCode.STALE_CALL
    assert len(ward.heard["anna"]) == heard


@pytest.mark.parametrize("call_id", ["old", "that of bed-1"])
def test_a_bed_cannot_rebuild_a_call_that_is_not_its_own(ward: Ward, call_id: str) -> None:
    lease = ward.talks("bed-1")
    heard = len(ward.heard["anna"])
    ward.says("bed-2", wire.Rebuild(call_id=call_id if call_id == "old" else lease.call_id, connection=1, sdp="o"))
    assert isinstance(ward.last("bed-2"), wire.Fault)
    assert len(ward.heard["anna"]) == heard


def test_a_seat_whose_page_and_media_are_both_gone_is_not_waited_for(ward: Ward) -> None:
    lease = ward.talks("bed-1")
    ward.does(Left("anna"))
    assert ward.state("r-bed-1") is RequestState.TALKING, "media may go on without the page's link"
    ward.says("bed-1", wire.Rebuild(call_id=lease.call_id, connection=1, sdp="offer"))
    ended = ward.all_of("bed-1", wire.CallEnded)[-1]
    assert (ended.call_id, ended.reason) == (lease.call_id, EndReason.SEAT_LOST)
    assert ward.seat_state("anna") is SeatState.OFFLINE
    assert ward.rings("bed-1") == "bert"


def test_a_seat_that_is_not_back_yet_at_a_restarted_desk_is_waited_for() -> None:
    ward = Ward()
    talking = OpenRequest(request_id="r1", age=0, phase=Phase.TALKING, call_id="old", call_seat="anna", fence=5000)
    ward.bed("bed-1", request=talking)
    ward.says("bed-1", wire.Rebuild(call_id="old", connection=1, sdp="offer"))
    assert ward.state("r1") is RequestState.TALKING
