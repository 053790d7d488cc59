"""The desk's side of a group call: a seat asks another one in, which has its own lease and comes or does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kiosk.desk.allocation_events import Left, Timer
from kiosk.desk.ledger import RequestState
from kiosk.desk.seat_calls import MAX_FOUND
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import (
    CallType,
    EndReason,
    ErrorCode,
    Priority,
    SeatState,
)
from tests.unit.desk_model import Ward
from tests.unit.group_ward import (
    REQUEST,
    accepts,
    asks,
    busy,
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

pytestmark = pytest.mark.usefixtures("anna_talks")


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
