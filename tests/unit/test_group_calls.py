"""The desk's side of a group call: a seat asks another one in, each has its own lease, the last to go decides."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kiosk.desk.allocation_events import Left, Timer
from kiosk.desk.ledger import Lease, LeaseState, RequestState
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
from tests.unit.desk_model import Ward
from tests.unit.timelines import state_told

REQUEST = "r-bed-1"


@pytest.fixture
def ward(ward: Ward) -> Ward:
    """Anna talks with bed-1; bert and three more are free, dora of another ward."""
    ward.seat("carl")
    ward.seat("dora", "next-ward")
    ward.seat("emil")
    ward.press("bed-1")
    ward.talks("bed-1")
    return ward


def call(ward: Ward, seat: str) -> Lease:
    lease = ward.desk.ledger.lease_of_seat(seat)
    assert lease is not None, f"{seat} has no call"
    return lease


def asks(ward: Ward, seat: str, *, by: str = "anna") -> None:
    ward.says(by, wire.AddSeat(call_id=call(ward, by).call_id, user_id=seat))


def invited(ward: Ward, seat: str, call_type: CallType = CallType.VIDEO) -> None:
    lease = call(ward, seat)
    ward.says(lease.bed, wire.Invite(call_id=lease.call_id, fence=lease.fence, call_type=call_type, sdp="offer"))


def accepts(ward: Ward, seat: str) -> None:
    ward.says(seat, wire.Accept(call_id=call(ward, seat).call_id))


def joins(ward: Ward, *seats: str) -> None:
    for seat in seats:
        asks(ward, seat)
        invited(ward, seat)
        accepts(ward, seat)


def hangs_up(ward: Ward, seat: str) -> None:
    ward.says(seat, wire.Hangup(call_id=call(ward, seat).call_id))


def talking(ward: Ward) -> list[str]:
    leases = ward.desk.ledger.leases.values()
    return [lease.seat for lease in leases if lease.state is LeaseState.TALKING]


def told(ward: Ward, seat: str) -> wire.Members:
    return ward.all_of(seat, wire.Members)[-1]


def names(members: tuple[wire.Member, ...]) -> dict[str, str]:
    return {member.user_id: member.state for member in members}


def refused(ward: Ward, seat: str) -> tuple[ErrorCode, str, str]:
    fault = ward.last(seat)
    assert isinstance(fault, wire.Fault)
    return fault.code, fault.field, fault.message


def happened(ward: Ward) -> list[tuple[str, str, str]]:
    shown = (Happened.ASKED, Happened.JOINED, Happened.LEFT, Happened.ENDED, Happened.RESUMED)
    return [
        (entry.what.value, entry.seat, entry.reason) for entry in ward.timelines[REQUEST] if entry.what in shown
    ]


# -- asking and coming


def test_the_bed_is_told_that_a_seat_joins_and_everybody_who_is_asked(ward: Ward) -> None:
    asks(ward, "bert")
    lease = call(ward, "bert")
    allocated = ward.last("bed-1")
    assert allocated == wire.Allocated(
        request_id=REQUEST, call_id=lease.call_id, fence=lease.fence, seat="bert", seat_name="Bert", joins=True
    )
    assert told(ward, "anna").call_id == call(ward, "anna").call_id
    assert names(told(ward, "anna").members) == {"anna": "talking", "bert": "ringing"}
    assert (ward.seat_state("bert"), ward.state(REQUEST)) == (SeatState.RINGING, RequestState.TALKING)
    assert not ward.all_of("bert", wire.Members), "it does not ring yet"


def test_the_asked_seat_sees_who_is_in_and_rings_for_its_usual_time(ward: Ward) -> None:
    joins(ward, "bert")
    asks(ward, "carl")
    invited(ward, "carl")
    incoming = ward.last("carl")
    assert isinstance(incoming, wire.IncomingCall)
    assert names(incoming.members) == {"anna": "talking", "bert": "talking"}
    assert (incoming.request.request_id, incoming.request.state, incoming.request.seat) == (
        REQUEST,
        "talking",
        "anna",
    )
    assert ward.timers[Timer("ring", call(ward, "carl").call_id)] == ward.now + ward.desk.rules.ring_s


def test_an_ordinary_call_names_no_members_and_tells_none(ward: Ward) -> None:
    incoming = ward.all_of("anna", wire.IncomingCall)[-1]
    assert incoming.members == ()
    hangs_up(ward, "anna")
    assert not ward.all_of("anna", wire.Members)


def test_who_accepts_is_in_and_all_of_them_are_told(ward: Ward) -> None:
    joins(ward, "bert")
    assert talking(ward) == ["anna", "bert"]
    assert ward.seat_state("bert") is SeatState.BUSY
    for seat in ("anna", "bert"):
        assert told(ward, seat).call_id == call(ward, seat).call_id
        assert names(told(ward, seat).members) == {"anna": "talking", "bert": "talking"}
    accepted = wire.Accepted(call_id=call(ward, "bert").call_id, call_type=CallType.VIDEO)
    assert accepted in ward.heard["bed-1"]
    assert ward.heard["bert"].index(accepted) < ward.heard["bert"].index(told(ward, "bert"))
    assert ward.state(REQUEST) is RequestState.TALKING


def test_of_each_two_the_later_one_learns_that_it_is_the_later(ward: Ward) -> None:
    """The first list in which a seat talks has all that were in before it: to those it offers."""
    for seat in ("bert", "carl"):
        asks(ward, seat)
        invited(ward, seat)
    accepts(ward, "carl")
    accepts(ward, "bert")

    def others_at_first(seat: str) -> set[str]:
        lists = [names(message.members) for message in ward.all_of(seat, wire.Members)]
        first = next(members for members in lists if members.get(seat) == "talking")
        return {other for other, state in first.items() if state == "talking" and other != seat}

    assert (others_at_first("carl"), others_at_first("bert")) == ({"anna"}, {"anna", "carl"})


def test_who_is_in_may_ask_as_well_as_who_was_first(ward: Ward) -> None:
    joins(ward, "bert")
    asks(ward, "carl", by="bert")
    assert call(ward, "carl").request_id == REQUEST


def test_a_seat_of_another_ward_may_be_asked(ward: Ward) -> None:
    joins(ward, "dora")
    assert talking(ward) == ["anna", "dora"]


def test_a_talk_without_pictures_is_accepted_as_what_the_bed_invites_to(ward: Ward) -> None:
    asks(ward, "bert")
    invited(ward, "bert", CallType.AUDIO)
    accepts(ward, "bert")
    assert ward.all_of("bert", wire.Accepted)[-1].call_type is CallType.AUDIO


# -- what is refused, in words


def test_only_who_talks_may_ask(ward: Ward) -> None:
    ward.says("bert", wire.AddSeat(call_id=call(ward, "anna").call_id, user_id="carl"))
    assert refused(ward, "bert")[:2] == (ErrorCode.OUT_OF_ORDER, "call_id")
    asks(ward, "bert")
    invited(ward, "bert")
    ward.says("bert", wire.AddSeat(call_id=call(ward, "bert").call_id, user_id="carl"))
    assert refused(ward, "bert")[:2] == (ErrorCode.OUT_OF_ORDER, "call_id")
    over = call(ward, "anna").call_id
    hangs_up(ward, "anna")
    ward.says("anna", wire.AddSeat(call_id=over, user_id="carl"))
    assert refused(ward, "anna")[:2] == (ErrorCode.OUT_OF_ORDER, "call_id")
    assert ward.desk.ledger.lease_of_seat("carl") is None


def test_a_seat_that_rings_for_a_request_has_no_talk_to_ask_into(ward: Ward) -> None:
    ward.bed("bed-2")
    ward.press("bed-2")
    seat = ward.rings("bed-2")
    ward.says(seat, wire.AddSeat(call_id=ward.lease("bed-2").call_id, user_id="carl"))
    assert refused(ward, seat)[0] is ErrorCode.OUT_OF_ORDER


@pytest.mark.parametrize("user", ["nobody", "bed-1"])
def test_whom_the_desk_does_not_know_as_a_seat_cannot_be_asked(ward: Ward, user: str) -> None:
    asks(ward, user)
    assert refused(ward, "anna")[:2] == (ErrorCode.UNKNOWN_SEAT, "user_id")


def busy(ward: Ward, seat: str = "bert") -> str:
    """*seat* talks with another bed."""
    ward.bed("bed-2")
    ward.press("bed-2", seat=seat)
    return ward.talks("bed-2").seat


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (lambda ward: ward.says("bert", wire.SetSeatState(state="rest")), "at rest"),
        (lambda ward: ward.says("bert", wire.SetSeatState(state="not_ready")), "not ready"),
        (lambda ward: ward.does(Left("bert")), "offline"),
        (busy, "busy"),
        (lambda ward: hangs_up(ward, busy(ward)), "in wrap-up"),
    ],
)
def test_who_is_not_free_cannot_be_asked(ward: Ward, happens: Callable[[Ward], object], words: str) -> None:
    happens(ward)
    asks(ward, "bert")
    code, field, message = refused(ward, "anna")
    assert (code, field) == (ErrorCode.SEAT_NOT_FREE, "user_id")
    assert message == f"Bert cannot be asked: the seat is {words}"


def test_whoever_is_in_or_rings_is_not_asked_again(ward: Ward) -> None:
    asks(ward, "bert")
    before = dict(ward.desk.ledger.leases)
    for again in ("bert", "anna"):
        asks(ward, again)
        assert refused(ward, "anna")[:2] == (ErrorCode.SEAT_IN_TALK, "user_id")
    assert ward.desk.ledger.leases == before


def test_a_fifth_seat_is_refused_until_one_has_gone(ward: Ward) -> None:
    joins(ward, "bert", "carl")
    asks(ward, "dora")
    asks(ward, "emil")
    assert refused(ward, "anna")[:2] == (ErrorCode.TALK_FULL, "user_id")
    assert ward.desk.ledger.lease_of_seat("emil") is None
    ward.says("dora", wire.Reject(call_id=call(ward, "dora").call_id))
    asks(ward, "emil")
    assert call(ward, "emil").request_id == REQUEST


def test_nobody_can_join_while_the_bed_is_not_connected(ward: Ward) -> None:
    ward.does(Left("bed-1"))
    asks(ward, "bert")
    assert refused(ward, "anna")[:2] == (ErrorCode.NOT_ALLOWED, "user_id")
    assert ward.state(REQUEST) is RequestState.TALKING


# -- who does not come


def over_the_wire(message: type[wire.Reject | wire.LineBusy | wire.CallFailed]) -> Callable[[Ward], object]:
    return lambda ward: ward.says("bert", message(call_id=call(ward, "bert").call_id))


def emergency(ward: Ward) -> None:
    for seat in ("carl", "emil"):
        ward.says(seat, wire.SetSeatState(state="rest"))
    ward.bed("bed-2")
    ward.press("bed-2", priority=Priority.EMERGENCY)


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (over_the_wire(wire.Reject), EndReason.REJECTED),
        (over_the_wire(wire.LineBusy), EndReason.LINE_BUSY),
        (over_the_wire(wire.CallFailed), EndReason.FAILED),
        (lambda ward: ward.passes(Timer("ring", call(ward, "bert").call_id)), EndReason.NO_RESPONSE),
        (lambda ward: ward.does(Left("bert")), EndReason.SEAT_LOST),
        (lambda ward: ward.does(Left("bed-1")), EndReason.BED_LOST),
        (
            lambda ward: ward.says("bed-1", wire.LineBusy(call_id=call(ward, "bert").call_id)),
            EndReason.LINE_BUSY,
        ),
        (emergency, EndReason.PREEMPTED),
    ],
)
def test_who_does_not_come_is_told_to_the_talk_which_goes_on(
    ward: Ward, happens: Callable[[Ward], object], reason: EndReason
) -> None:
    asks(ward, "bert")
    invited(ward, "bert")
    happens(ward)
    left = told(ward, "anna")
    assert left.left == wire.LeftMember(user_id="bert", reason=reason)
    assert names(left.members) == {"anna": "talking"}
    assert (ward.state(REQUEST), talking(ward)) == (RequestState.TALKING, ["anna"])
    assert not ward.desk.ledger.requests[REQUEST].declined, "the request is asked of nobody else"
    assert happened(ward) == [("asked", "bert", "anna"), ("left", "bert", reason.value)]


def test_a_bed_that_does_not_invite_is_not_waited_for(ward: Ward) -> None:
    asks(ward, "bert")
    ward.passes(Timer("invite", call(ward, "bert").call_id))
    assert told(ward, "anna").left == wire.LeftMember(user_id="bert", reason=EndReason.FAILED)
    assert ward.seat_state("bert") is SeatState.FREE


def test_an_emergency_never_ends_a_joined_talk(ward: Ward) -> None:
    joins(ward, "bert")
    emergency(ward)
    assert talking(ward) == ["anna", "bert"]
    assert ward.state("r-bed-2") is RequestState.WAITING


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


# -- the bed, and a desk that was restarted


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


# -- the mesh


def test_members_pass_each_other_what_a_connection_needs(ward: Ward) -> None:
    joins(ward, "bert")
    anna, bert = call(ward, "anna").call_id, call(ward, "bert").call_id
    ward.says("bert", wire.MemberOffer(id="1", call_id=bert, user_id="anna", sdp="offer"))
    assert ward.last("anna") == wire.MemberOffer(call_id=anna, user_id="bert", sdp="offer")
    ward.says("anna", wire.MemberAnswer(call_id=anna, user_id="bert", sdp="answer"))
    assert ward.last("bert") == wire.MemberAnswer(call_id=bert, user_id="anna", sdp="answer")
    ward.says("anna", wire.MemberCandidate(call_id=anna, user_id="bert", candidate="candidate:1", sdp_mid="0"))
    assert ward.last("bert") == wire.MemberCandidate(
        call_id=bert, user_id="anna", candidate="candidate:1", sdp_mid="0"
    )


@pytest.mark.parametrize("sender", ["anna", "bert"])
@pytest.mark.parametrize(
    ("happens", "to"),
    [
        (lambda ward: invited(ward, "bert"), "bert"),
        (lambda ward: busy(ward, "carl"), "carl"),
        (lambda ward: None, "nobody"),
        (lambda ward: None, "anna"),
    ],
)
def test_nothing_passes_but_between_two_seats_of_one_talk_that_have_accepted(
    ward: Ward, happens: Callable[[Ward], object], to: str, sender: str
) -> None:
    asks(ward, "bert")
    happens(ward)
    heard = {user: len(messages) for user, messages in ward.heard.items()}
    own = call(ward, sender).call_id
    to = "anna" if sender == to == "bert" else to
    ward.says(sender, wire.MemberCandidate(call_id=own, user_id=to, candidate="candidate:1"))
    assert {user: len(messages) for user, messages in ward.heard.items()} == heard, "no mistake of its sender"
    for message in (
        wire.MemberOffer(call_id=own, user_id=to, sdp="offer"),
        wire.MemberAnswer(call_id=own, user_id=to, sdp="answer"),
    ):
        ward.says(sender, message)
        assert refused(ward, sender)[:2] == (ErrorCode.NOT_ALLOWED, "user_id")
        fault = ward.last(sender)
        assert isinstance(fault, wire.Fault)
        assert fault.call_id is None, "its call with the bed goes on"
        heard[sender] = len(ward.heard[sender])
        assert {user: len(messages) for user, messages in ward.heard.items()} == heard


def test_a_desk_that_does_not_know_the_talk_yet_does_not_end_it() -> None:
    ward = Ward()
    ward.seat("bert", free=False, call_id="cb")
    for early in (
        wire.MemberOffer(call_id="cb", user_id="anna", sdp="offer"),
        wire.AddSeat(call_id="cb", user_id="anna"),
    ):
        ward.says("bert", early)
        fault = ward.last("bert")
        assert isinstance(fault, wire.Fault)
        assert fault.call_id is None


# -- finding a colleague


def found(ward: Ward, text: str) -> list[tuple[str, SeatState]]:
    ward.says("anna", wire.FindSeats(text=text))
    seats = ward.last("anna")
    assert isinstance(seats, wire.Seats)
    assert seats.text == text
    return [(seat.user_id, seat.state) for seat in seats.seats]


def test_a_colleague_of_any_ward_is_found_by_words_of_the_name(ward: Ward) -> None:
    assert found(ward, "DOR") == [("dora", SeatState.FREE)]
    assert [seat for seat, _ in found(ward, "")] == ["bert", "carl", "dora", "emil"], "and not oneself"
    ward.does(Left("carl"))
    assert found(ward, "carl") == [("carl", SeatState.OFFLINE)]
    assert found(ward, "bert carl") == []


def test_more_than_a_page_shows_are_counted(ward: Ward) -> None:
    for number in range(MAX_FOUND):
        ward.seat(f"nurse-{number:03}")
    ward.says("anna", wire.FindSeats(text="nurse"))
    ward.says("anna", wire.FindSeats())
    seats = ward.last("anna")
    assert isinstance(seats, wire.Seats)
    assert (len(seats.seats), seats.more) == (MAX_FOUND, 4)


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
