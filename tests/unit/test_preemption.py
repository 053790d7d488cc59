"""An emergency takes a seat from a less urgent request that nobody has answered yet, and nothing is lost."""

from __future__ import annotations

import pytest

from kiosk.desk.allocation_events import SeatAsked, Timer
from kiosk.desk.ledger import RequestState
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, EndReason, ErrorCode, OpenRequest, Priority, SeatState
from tests.unit.desk_model import Ward

pytestmark = pytest.mark.promise("R15")


def one_seat(**rules: float) -> Ward:
    """bed-1 has the only seat's attention; bed-2 has not called yet."""
    ward = Ward(**rules)
    ward.seat("anna")
    ward.bed("bed-1")
    ward.bed("bed-2")
    ward.press("bed-1")
    return ward


def emergency(ward: Ward, bed: str = "bed-2") -> None:
    ward.now += 1
    ward.press(bed, priority=Priority.EMERGENCY)


@pytest.mark.parametrize("rings", [False, True])
@pytest.mark.parametrize("priority", [Priority.NORMAL, Priority.URGENT])
def test_an_emergency_takes_a_seat_that_is_reserved_or_rings(rings: bool, priority: Priority) -> None:
    ward = one_seat()
    ward.press("bed-1", priority=priority)
    if rings:
        ward.rings("bed-1")
    old = ward.lease("bed-1")
    emergency(ward)
    ended = wire.CallEnded(call_id=old.call_id, reason=EndReason.PREEMPTED)
    assert ended in ward.heard["anna"]
    assert ended in ward.heard["bed-1"]
    assert ward.rings("bed-2") == "anna"


def test_the_one_that_gave_way_waits_on_with_its_age_and_its_seat_has_declined_nothing() -> None:
    ward = one_seat()
    before = ward.desk.ledger.requests["r-bed-1"]
    emergency(ward)
    after = ward.desk.ledger.requests["r-bed-1"]
    assert (after.state, after.opened_at, after.waited_since) == (
        RequestState.WAITING,
        before.opened_at,
        before.waited_since,
    )
    assert after.declined == frozenset()
    assert ward.last("bed-1") == wire.RequestTaken(request_id="r-bed-1", place=1)
    ward.says("anna", wire.Hangup(call_id=ward.talks("bed-2").call_id))
    ward.passes(Timer("wrap_up", "anna"))
    assert ward.rings("bed-1") == "anna"


def test_a_request_that_becomes_an_emergency_takes_a_seat_too() -> None:
    ward = one_seat()
    ward.press("bed-2")
    assert ward.state("r-bed-2") is RequestState.WAITING
    ward.press("bed-2", presses=2, priority=Priority.EMERGENCY)
    assert ward.lease("bed-2").seat == "anna"


def test_a_free_seat_is_taken_before_any_other(ward: Ward) -> None:
    ward.bed("bed-2")
    ward.press("bed-1")
    emergency(ward)
    assert (ward.lease("bed-1").seat, ward.lease("bed-2").seat) == ("anna", "bert")


def test_a_talk_is_never_broken() -> None:
    ward = one_seat()
    talk = ward.talks("bed-1")
    emergency(ward)
    assert ward.lease("bed-1") == talk
    assert ward.state("r-bed-2") is RequestState.WAITING


def test_one_emergency_does_not_take_the_seat_of_another() -> None:
    ward = one_seat()
    emergency(ward, "bed-1")
    emergency(ward)
    assert ward.lease("bed-1").seat == "anna"
    assert ward.state("r-bed-2") is RequestState.WAITING


def test_an_urgent_request_takes_no_seat() -> None:
    ward = one_seat()
    ward.press("bed-2", priority=Priority.URGENT)
    assert ward.lease("bed-1").seat == "anna"


def test_the_least_urgent_and_youngest_gives_way(ward: Ward) -> None:
    ward.seat("cora")
    for number, priority in ((1, Priority.URGENT), (2, Priority.NORMAL), (3, Priority.NORMAL)):
        ward.now += 1
        ward.bed(f"bed-{number}")
        ward.press(f"bed-{number}", priority=priority)
    ward.bed("bed-4")
    emergency(ward, "bed-4")
    assert ward.state("r-bed-3") is RequestState.WAITING
    assert ward.lease("bed-4").seat == "cora"


def test_the_one_that_gave_way_finds_another_seat_at_once_where_there_is_one() -> None:
    ward = one_seat()
    ward.seat("dora", "icu")
    ward.seat("bert", "icu", "ward")
    ward.bed("bed-3", "icu")
    ward.press("bed-3", seat="bert")
    assert ward.lease("bed-3").seat == "bert"
    ward.says("bed-1", wire.CloseRequest(request_id="r-bed-1", reason=wire.CloseReason.CANCELLED))
    ward.says("anna", wire.SetSeatState(state="rest"))
    emergency(ward)
    assert ward.lease("bed-2").seat == "bert"
    assert ward.lease("bed-3").seat == "dora"


def test_a_seat_that_declined_the_emergency_goes_on_ringing_for_the_other() -> None:
    ward = one_seat()
    emergency(ward)
    ward.says("anna", wire.Reject(call_id=ward.lease("bed-2").call_id))
    assert ward.lease("bed-1").seat == "anna"
    ward.passes(Timer("round", "r-bed-2"))
    assert ward.lease("bed-2").seat == "anna", "in the next round it is asked again"


def test_a_seat_of_another_group_is_left_alone() -> None:
    ward = one_seat()
    ward.bed("bed-5", "icu")
    emergency(ward, "bed-5")
    assert ward.lease("bed-1").seat == "anna"


def test_what_a_person_took_by_a_click_is_as_good_as_accepted() -> None:
    ward = one_seat(overdue_s=10.0)
    ward.says("anna", wire.Reject(call_id=ward.lease("bed-1").call_id))
    ward.says("anna", wire.SetSeatState(state="rest"))
    ward.waits(11)
    ward.says("anna", wire.TakeRequest(request_id="r-bed-1"))
    emergency(ward)
    assert ward.lease("bed-1").seat == "anna"


def test_a_reservation_of_the_plain_http_door_is_left_alone() -> None:
    ward = Ward()
    ward.seat("anna")
    ward.bed("bed-2")
    ward.does(SeatAsked("app-7", OpenRequest(request_id="r7", age=0), wire.BedInfo(group="ward")))
    emergency(ward)
    assert ward.lease("app-7").seat == "anna"


def test_where_the_facility_does_not_queue_the_one_that_gave_way_is_told_to_press_again() -> None:
    ward = Ward(queue=False)
    ward.seat("anna")
    ward.bed("bed-1")
    ward.bed("bed-2")
    ward.press("bed-1")
    emergency(ward)
    assert ward.last("bed-1") == wire.RequestTaken(request_id="r-bed-1", retry_later=True)


# -- what comes too late for the call that gave way


@pytest.mark.parametrize("kind", ["accept", "reject", "answer", "invite"])
def test_what_is_said_of_the_call_that_gave_way_is_refused_in_words(kind: str) -> None:
    ward = one_seat()
    ward.rings("bed-1")
    old = ward.lease("bed-1")
    emergency(ward)
    late: dict[str, tuple[str, wire.Message]] = {
        "accept": ("anna", wire.Accept(call_id=old.call_id)),
        "reject": ("anna", wire.Reject(call_id=old.call_id)),
        "answer": ("anna", wire.Answer(call_id=old.call_id, sdp="v=0")),
        "invite": (
            "bed-1",
            wire.Invite(call_id=old.call_id, fence=old.fence, call_type=CallType.VIDEO, sdp="v=0"),
        ),
    }
    user, message = late[kind]
    ward.says(user, message)
    fault = ward.last(user)
    assert isinstance(fault, wire.Fault)
    assert (fault.code, fault.call_id) == (ErrorCode.STALE_CALL, old.call_id)
    assert ward.lease("bed-2").seat == "anna"
    assert ward.seat_state("anna") is SeatState.RINGING


def test_a_grant_of_an_older_desk_is_refused_by_the_newer_one() -> None:
    older, newer = one_seat(), Ward()
    lease = older.lease("bed-1")
    newer.desk._books.fence = lease.fence
    newer.seat("anna")
    newer.bed("bed-1", request=OpenRequest(request_id="r-bed-1", age=0))
    assert newer.lease("bed-1").fence > lease.fence
    for call_id in (lease.call_id, newer.lease("bed-1").call_id):
        newer.says("bed-1", wire.Invite(call_id=call_id, fence=lease.fence, call_type=CallType.VIDEO, sdp="v=0"))
        fault = newer.last("bed-1")
        assert isinstance(fault, wire.Fault)
        assert fault.code is ErrorCode.STALE_CALL
    newer.says("anna", wire.Accept(call_id=lease.call_id))
    assert isinstance(newer.last("anna"), wire.Fault)
    assert newer.rings("bed-1") == "anna"


def test_two_seats_never_hold_the_same_call(ward: Ward) -> None:
    ward.press("bed-1")
    ward.rings("bed-1")
    call_id = ward.lease("bed-1").call_id
    ward.says("bert", wire.Accept(call_id=call_id))
    fault = ward.last("bert")
    assert isinstance(fault, wire.Fault)
    assert fault.code is ErrorCode.STALE_CALL
    ward.says("anna", wire.Accept(call_id=call_id))
    assert ward.state("r-bed-1") is RequestState.TALKING
