"""A group talk and its bed: what the bed's snapshot names is so, also for a desk that was just started."""

from __future__ import annotations

import pytest

from kiosk.desk.allocation_events import Left
from kiosk.desk.ledger import RequestState
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import (
    EndReason,
    OpenRequest,
    Origin,
    Phase,
    SeatState,
)
from tests.unit.desk_model import Ward
from tests.unit.group_ward import (
    REQUEST,
    asks,
    call,
    hangs_up,
    happened,
    joins,
    names,
    talking,
    told,
)

pytestmark = pytest.mark.usefixtures("anna_talks")


def snapshot(*talks: tuple[str, str, int], phase: Phase = Phase.TALKING, **told: object) -> OpenRequest:
    told_talks = tuple(wire.Talk(call_id=call_id, seat=seat, fence=fence) for call_id, seat, fence in talks)
    return OpenRequest(
        request_id=REQUEST,
        age=9000,
        phase=phase,
        call_id=talks[0][0] if talks else None,
        call_seat=talks[0][1] if talks else None,
        fence=talks[0][2] if talks else 0,
        others=told_talks[1:],
        **told,  # type: ignore[arg-type]  # the tests' own keywords
    )


A, B, C = ("ca", "anna", 5000), ("cb", "bert", 5002), ("cc", "carl", 5001)


@pytest.fixture
def restarted() -> Ward:
    """A desk that was just started: bed-1 talks with anna, bert and carl, and bert's page has come first."""
    ward = Ward()
    ward.seat("bert", free=False, call_id="cb")
    ward.bed("bed-1", request=snapshot(A, B, C))
    return ward


def test_a_restarted_desk_finds_every_talk(restarted: Ward) -> None:
    assert talking(restarted) == ["anna", "bert", "carl"]
    assert restarted.seat_state("bert") is SeatState.BUSY
    assert names(told(restarted, "bert").members) == dict.fromkeys(("anna", "bert", "carl"), "talking")
    restarted.seat("anna", free=False, call_id="ca")
    assert told(restarted, "anna").call_id == "ca"
    assert names(told(restarted, "anna").members) == dict.fromkeys(("anna", "bert", "carl"), "talking")
    assert [what for what, *_ in happened(restarted)] == ["resumed"] * 3
    restarted.waits(restarted.desk.rules.resume_s)
    assert talking(restarted) == ["anna", "bert"], "carl's page has not come back"
    assert told(restarted, "anna").left == wire.LeftMember(user_id="carl", reason=EndReason.SEAT_LOST)
    assert not restarted.all_of("bed-1", wire.Fault)


def test_the_next_lease_is_above_all_of_theirs(restarted: Ward) -> None:
    restarted.seat("emil")
    asks(restarted, "emil", by="bert")
    assert call(restarted, "emil").fence > 5002


def test_talks_told_again_are_the_same_talks(restarted: Ward) -> None:
    before = dict(restarted.desk.ledger.leases)
    restarted.bed("bed-1", request=snapshot(C, A, B))
    assert restarted.desk.ledger.leases == before


def test_a_talk_the_bed_no_longer_names_is_over(restarted: Ward) -> None:
    restarted.bed("bed-1", request=snapshot(A, C))
    assert talking(restarted) == ["anna", "carl"]
    assert restarted.all_of("bert", wire.CallEnded)[-1].reason is EndReason.BED_LOST
    restarted.bed("bed-1", request=snapshot(("cd", "dora", 5003)))
    assert talking(restarted) == ["dora"], "what the bed names is begun before the others end"
    assert restarted.state(REQUEST) is RequestState.TALKING


@pytest.mark.parametrize(
    ("phase", "reason", "state"),
    [
        (Phase.ANSWERED, EndReason.HANGUP, RequestState.ANSWERED),
        (Phase.WAITING, EndReason.BED_LOST, RequestState.WAITING),
    ],
)
def test_a_bed_that_talks_no_more_ends_all_of_them(
    restarted: Ward, phase: Phase, reason: EndReason, state: RequestState
) -> None:
    restarted.bed("bed-1", request=snapshot(phase=phase))
    assert (restarted.state(REQUEST), talking(restarted)) == (state, [])
    assert restarted.all_of("bert", wire.CallEnded)[-1].reason is reason


def test_a_bed_that_lost_its_memory_ends_all_of_them(restarted: Ward) -> None:
    restarted.bed("bed-1")
    assert (restarted.state(REQUEST), talking(restarted)) == (RequestState.WAITING, [])
    assert isinstance(restarted.last("bed-1"), wire.RequestHeld | wire.LocalAlarm | wire.RequestTaken)
    again = Ward()
    again.bed("bed-1", request=snapshot(A, B))
    again.press("bed-1", "r-new")
    assert (list(again.desk.ledger.requests), talking(again)) == (["r-new"], [])


def test_a_talk_with_a_seat_that_has_another_call_by_now_is_told_to_be_over() -> None:
    ward = Ward()
    ward.seat("anna")
    ward.bed("bed-1", request=snapshot(A, B))
    assert wire.CallEnded(call_id="ca", reason=EndReason.SEAT_LOST) in ward.heard["bed-1"], "its page knows no call"
    assert talking(ward) == ["bert"]
    nobody = Ward()
    nobody.seat("anna")
    nobody.seat("bert", free=False)
    nobody.bed("bed-1", request=snapshot(A, B, origin=Origin.SEAT, presses=0))
    assert nobody.desk.ledger.requests == {}, "nobody had asked, and nobody talks"
    ends = [ended.call_id for ended in nobody.all_of("bed-1", wire.CallEnded)]
    assert ends == ["ca", "cb"]


def test_a_talk_a_seat_began_goes_on_with_whoever_is_in_it() -> None:
    ward = Ward()
    ward.seat("anna")
    ward.bed("bed-1", request=snapshot(A, B, origin=Origin.SEAT, presses=0))
    assert talking(ward) == ["bert"]
    ward.press("bed-1", "r-new")
    assert (talking(ward), list(ward.desk.ledger.requests)) == ([], ["r-new"])


def test_a_talk_a_seat_began_ends_when_the_bed_names_only_one_that_cannot_be() -> None:
    ward = Ward()
    ward.bed("bed-1", request=snapshot(A, origin=Origin.SEAT, presses=0))
    ward.seat("bert")
    ward.bed("bed-1", request=snapshot(B, origin=Origin.SEAT, presses=0))
    assert (ward.desk.ledger.leases, ward.desk.ledger.requests) == ({}, {})


def test_who_hung_up_while_the_bed_was_away_is_not_put_back_into_the_talk(ward: Ward) -> None:
    joins(ward, "bert")
    leases = {seat: call(ward, seat) for seat in ("anna", "bert")}
    ward.does(Left("bert"))
    ward.seat("bert", free=False, call_id=leases["bert"].call_id)
    ward.does(Left("bed-1"))
    hangs_up(ward, "bert")
    ward.bed("bed-1", request=snapshot(*[(lease.call_id, seat, lease.fence) for seat, lease in leases.items()]))
    assert talking(ward) == ["anna"]
    over = wire.CallEnded(call_id=leases["bert"].call_id, reason=EndReason.SEAT_LOST)
    assert over in ward.heard["bed-1"]


def test_a_bed_that_comes_back_is_not_waited_for_by_who_rang(ward: Ward) -> None:
    joins(ward, "bert")
    asks(ward, "carl")
    leases = {seat: call(ward, seat) for seat in ("anna", "bert")}
    talks = [(lease.call_id, seat, lease.fence) for seat, lease in leases.items()]
    ward.bed("bed-1", request=snapshot(*talks))
    assert talking(ward) == ["anna", "bert"]
    assert told(ward, "anna").left is None
    assert wire.LeftMember(user_id="carl", reason=EndReason.BED_LOST) in [
        message.left for message in ward.all_of("anna", wire.Members)
    ]
