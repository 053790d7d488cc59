"""Who rings for whom: no request is lost, none rings twice, none is without an owner."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from kiosk.desk.allocation import Allocation
from kiosk.desk.allocation_events import (
    AllBusy,
    BoardChanged,
    Effect,
    Event,
    Left,
    Reserved,
    Said,
    SeatArrived,
    SeatAsked,
    SeatReturned,
    StartTimer,
    Tell,
    TimedOut,
    Timer,
)
from kiosk.desk.books import REQUEST, SEAT
from kiosk.desk.ledger import Lease, RequestState, Rules
from kiosk.errors import LocalProtocolError
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import (
    CallType,
    CloseReason,
    EndReason,
    ErrorCode,
    OpenRequest,
    Phase,
    Priority,
    SeatState,
)

M = TypeVar("M", bound=wire.Message)


class Ward:
    """A desk, spoken to in the ward's words. ``heard[user]`` are the messages a user was sent, oldest first."""

    def __init__(self, **rules: Any) -> None:
        self.desk = Allocation(rules=Rules(**rules), first_fence=1000)
        self.now = 100.0
        self.heard: dict[str, list[wire.Message]] = {}
        self.timers: dict[Timer, float] = {}

    def does(self, event: Event) -> list[Effect]:
        effects = self.desk.handle(event, now=self.now)
        for effect in effects:
            if isinstance(effect, Tell):
                self.heard.setdefault(effect.user_id, []).append(effect.message)
            elif isinstance(effect, StartTimer):
                self.timers[effect.timer] = self.now + effect.seconds
            elif not isinstance(effect, BoardChanged | Reserved | AllBusy):
                self.timers.pop(effect.timer, None)
        return effects

    def says(self, user: str, message: wire.Message) -> list[Effect]:
        return self.does(Said(user, message))

    def last(self, user: str) -> wire.Message:
        return self.heard[user][-1]

    def all_of(self, user: str, kind: type[M]) -> list[M]:
        return [message for message in self.heard.get(user, []) if isinstance(message, kind)]

    def seat(self, user: str, *groups: str, free: bool = True, call_id: str | None = None) -> None:
        self.now += 1
        self.does(SeatArrived(user, user.title(), frozenset(groups or ("ward",)), call_id))
        if free:
            self.says(user, wire.SetSeatState(state="free"))

    def bed(self, user: str, group: str = "ward", **snapshot: Any) -> None:
        self.says(user, wire.Snapshot(bed=wire.BedInfo(group=group, room=user), **snapshot))

    def press(self, user: str, request_id: str = "", **told: Any) -> None:
        request = OpenRequest(request_id=request_id or f"r-{user}", age=told.pop("age", 0), **told)
        self.says(user, wire.Request(request=request))

    def passes(self, timer: Timer) -> None:
        self.now = self.timers.pop(timer)
        self.does(TimedOut(timer))

    def lease(self, bed: str) -> Lease:
        return next(lease for lease in self.desk.ledger.leases.values() if lease.bed == bed)

    def rings(self, bed: str) -> str:
        """The bed sends its invitation; returns the seat that rings."""
        lease = self.lease(bed)
        self.says(
            bed,
            wire.Invite(call_id=lease.call_id, fence=lease.fence, call_type=CallType.VIDEO, sdp="offer"),
        )
        assert isinstance(self.last(lease.seat), wire.IncomingCall)
        return lease.seat

    def talks(self, bed: str) -> Lease:
        seat = self.rings(bed)
        self.says(seat, wire.Accept(call_id=self.lease(bed).call_id))
        return self.lease(bed)

    def state(self, request_id: str) -> RequestState:
        return self.desk.ledger.requests[request_id].state

    def seat_state(self, user: str) -> SeatState:
        return self.desk.ledger.seats[user].state


@pytest.fixture
def ward() -> Ward:
    """One bed, two free seats; anna has been idle longer."""
    ward = Ward()
    ward.seat("anna")
    ward.seat("bert")
    ward.bed("bed-1")
    return ward


def test_the_tables_name_every_state() -> None:
    assert set(SEAT) == set(SeatState)
    assert set(REQUEST) == set(RequestState)


_SEAT_SIGNALS = sorted({signal for row in SEAT.values() for signal in row})
_REQUEST_SIGNALS = sorted({signal for row in REQUEST.values() for signal in row})


@pytest.mark.parametrize(("state", "signal"), list(itertools.product(SeatState, _SEAT_SIGNALS)))
def test_every_signal_to_a_seat_moves_it_by_the_table_or_not_at_all(state: SeatState, signal: str) -> None:
    ward = Ward()
    ward.seat("anna")
    books = ward.desk._books
    books.ledger.seats["anna"] = anna = replace(books.ledger.seats["anna"], state=state)
    if signal in SEAT[state]:
        assert books.move_seat("anna", signal).state is SEAT[state][signal]
    else:
        with pytest.raises(LocalProtocolError, match=f"anna is {state}: '{signal}'"):
            books.move_seat("anna", signal)
        assert books.ledger.seats["anna"] == anna


@pytest.mark.parametrize(("state", "signal"), list(itertools.product(RequestState, _REQUEST_SIGNALS)))
def test_every_signal_to_a_request_moves_it_by_the_table_or_not_at_all(state: RequestState, signal: str) -> None:
    ward = Ward()
    ward.bed("bed-1")
    ward.press("bed-1")
    books = ward.desk._books
    books.ledger.requests["r-bed-1"] = request = replace(books.ledger.requests["r-bed-1"], state=state)
    if signal in REQUEST[state]:
        books.move_request(request, signal)
        assert ward.state("r-bed-1") is REQUEST[state][signal]
    else:
        with pytest.raises(LocalProtocolError, match=f"r-bed-1 is {state}: '{signal}'"):
            books.move_request(request, signal)
        assert books.ledger.requests["r-bed-1"] == request


# -- a press finds a seat


def test_a_press_reserves_the_seat_idle_longest(ward: Ward) -> None:
    ward.press("bed-1")
    taken, allocated = ward.heard["bed-1"][-2:]
    assert taken == wire.RequestTaken(request_id="r-bed-1")
    assert isinstance(allocated, wire.Allocated)
    assert (allocated.seat, allocated.seat_name, allocated.fence) == ("anna", "Anna", 1001)
    assert ward.seat_state("anna") is SeatState.RINGING
    assert ward.seat_state("bert") is SeatState.FREE


def test_the_invitation_rings_the_seat_and_tells_the_bed(ward: Ward) -> None:
    ward.press("bed-1")
    assert ward.rings("bed-1") == "anna"
    incoming = ward.all_of("anna", wire.IncomingCall)[-1]
    assert (incoming.sdp, incoming.request.room, incoming.ring_timeout_ms) == ("offer", "bed-1", 30_000)
    assert ward.last("bed-1") == wire.Ringing(call_id=incoming.call_id)


def test_accept_connects_both_and_the_first_accept_counts(ward: Ward) -> None:
    ward.press("bed-1")
    lease = ward.talks("bed-1")
    accepted = wire.Accepted(call_id=lease.call_id, call_type=CallType.VIDEO)
    assert ward.last("bed-1") == ward.last("anna") == accepted
    assert ward.state("r-bed-1") is RequestState.TALKING
    ward.says("anna", wire.Accept(call_id=lease.call_id))
    fault = ward.last("anna")
    assert isinstance(fault, wire.Fault)
    assert fault.code is ErrorCode.OUT_OF_ORDER
    assert ward.lease("bed-1") == lease


def test_a_seat_may_accept_as_audio(ward: Ward) -> None:
    ward.press("bed-1")
    ward.rings("bed-1")
    call_id = ward.lease("bed-1").call_id
    ward.says("anna", wire.Accept(call_id=call_id, call_type=CallType.AUDIO))
    assert ward.last("bed-1") == wire.Accepted(call_id=call_id, call_type=CallType.AUDIO)


def test_a_hang_up_leaves_the_request_to_be_attended(ward: Ward) -> None:
    ward.press("bed-1")
    lease = ward.talks("bed-1")
    ward.now += 12.5
    ward.says("anna", wire.Hangup(call_id=lease.call_id))
    ended = wire.CallEnded(call_id=lease.call_id, reason=EndReason.HANGUP, duration=12_500)
    assert ward.last("bed-1") == ward.last("anna") == ended
    assert ward.state("r-bed-1") is RequestState.ANSWERED
    assert ward.seat_state("anna") is SeatState.WRAP_UP
    ward.passes(Timer("wrap_up", "anna"))
    assert ward.seat_state("anna") is SeatState.FREE
    assert ward.state("r-bed-1") is RequestState.ANSWERED


def test_without_wrap_up_a_seat_is_free_at_once() -> None:
    ward = Ward(wrap_up_s=0.0)
    ward.seat("anna")
    ward.bed("bed-1")
    ward.press("bed-1")
    ward.says("anna", wire.Hangup(call_id=ward.talks("bed-1").call_id))
    assert ward.seat_state("anna") is SeatState.FREE


def test_the_named_seat_comes_first_and_others_after_it(ward: Ward) -> None:
    ward.press("bed-1", seat="bert")
    assert ward.rings("bed-1") == "bert"
    ward.says("bert", wire.Reject(call_id=ward.lease("bed-1").call_id))
    assert ward.rings("bed-1") == "anna"


def test_only_seats_of_the_beds_group_ring(ward: Ward) -> None:
    ward.bed("bed-2", "icu")
    ward.press("bed-2")
    assert ward.last("bed-2") == wire.RequestTaken(request_id="r-bed-2", place=1)
    ward.seat("carl", "icu", "ward")
    assert ward.lease("bed-2").seat == "carl"


# -- nobody is forgotten


@pytest.mark.parametrize(
    ("decline", "reason"),
    [
        (lambda ward, call_id: ward.says("anna", wire.Reject(call_id=call_id)), EndReason.REJECTED),
        (lambda ward, call_id: ward.says("anna", wire.Hangup(call_id=call_id)), EndReason.REJECTED),
        (lambda ward, call_id: ward.says("anna", wire.LineBusy(call_id=call_id)), EndReason.LINE_BUSY),
        (lambda ward, call_id: ward.passes(Timer("ring", call_id)), EndReason.NO_RESPONSE),
        (lambda ward, call_id: ward.says("anna", wire.CallFailed(call_id=call_id)), EndReason.FAILED),
        (lambda ward, call_id: ward.does(Left("anna")), EndReason.SEAT_LOST),
        (lambda ward, call_id: ward.seat("anna", free=False), EndReason.SEAT_LOST),
        (lambda ward, call_id: ward.says("bed-1", wire.Cancel(call_id=call_id)), EndReason.CANCELLED),
        (lambda ward, call_id: ward.says("bed-1", wire.Hangup(call_id=call_id)), EndReason.CANCELLED),
    ],
)
def test_whoever_does_not_take_it_the_next_seat_rings(ward: Ward, decline: Any, reason: EndReason) -> None:
    ward.press("bed-1")
    ward.rings("bed-1")
    call_id = ward.lease("bed-1").call_id
    decline(ward, call_id)
    assert wire.CallEnded(call_id=call_id, reason=reason) in ward.heard["bed-1"]
    assert wire.CallEnded(call_id=call_id, reason=reason) in ward.heard["anna"]
    assert ward.rings("bed-1") == "bert"


def test_a_seat_that_is_not_invited_in_time_is_given_up(ward: Ward) -> None:
    ward.press("bed-1")
    call_id = ward.lease("bed-1").call_id
    ward.passes(Timer("invite", call_id))
    assert wire.CallEnded(call_id=call_id, reason=EndReason.FAILED) in ward.heard["bed-1"]
    assert ward.lease("bed-1").seat == "bert"


def test_when_all_have_declined_a_new_round_begins_after_a_pause(ward: Ward) -> None:
    ward.press("bed-1")
    for seat in ("anna", "bert"):
        assert ward.rings("bed-1") == seat
        ward.says(seat, wire.Reject(call_id=ward.lease("bed-1").call_id))
    assert ward.last("bed-1") == wire.RequestTaken(request_id="r-bed-1", place=1)
    assert not ward.desk.ledger.leases, "nobody is asked again at once"
    ward.passes(Timer("round", "r-bed-1"))
    assert ward.rings("bed-1") == "anna"


def test_all_busy_queues_by_priority_then_age_and_places_are_told(ward: Ward) -> None:
    for number in (1, 2, 3, 4, 5):
        ward.bed(f"bed-{number}")
        ward.now += 1
        ward.press(f"bed-{number}", priority=Priority.URGENT if number == 5 else Priority.NORMAL)
    assert [of.place for of in ward.all_of("bed-5", wire.RequestTaken)] == [0, 1]
    assert [of.place for of in ward.all_of("bed-3", wire.RequestTaken)] == [0, 1, 2]
    assert [of.place for of in ward.all_of("bed-4", wire.RequestTaken)] == [0, 2, 3]
    first = ward.talks("bed-1")
    ward.says(first.seat, wire.Hangup(call_id=first.call_id))
    ward.passes(Timer("wrap_up", first.seat))
    assert ward.lease("bed-5").seat == first.seat, "urgent before older"
    assert ward.all_of("bed-3", wire.RequestTaken)[-1].place == 1


def test_where_the_facility_does_not_queue_the_patient_is_told_to_try_again() -> None:
    ward = Ward(queue=False)
    ward.bed("bed-1")
    ward.press("bed-1")
    assert ward.last("bed-1") == wire.RequestTaken(request_id="r-bed-1", retry_later=True)
    ward.seat("anna")
    assert not ward.desk.ledger.leases
    ward.press("bed-1", presses=2)
    assert ward.rings("bed-1") == "anna"


def test_a_repeated_press_merges_and_raises_urgency(ward: Ward) -> None:
    ward.press("bed-1")
    ward.rings("bed-1")
    ward.press("bed-1", presses=3, priority=Priority.URGENT)
    ward.press("bed-1", presses=4)
    (request,) = ward.desk.ledger.requests.values()
    assert (request.told.presses, request.told.priority) == (4, Priority.URGENT)
    assert len(ward.desk.ledger.leases) == 1


def test_a_press_after_a_talk_asks_again(ward: Ward) -> None:
    ward.press("bed-1")
    ward.says("bed-1", wire.Hangup(call_id=ward.talks("bed-1").call_id, spoken=True))
    assert ward.desk.ledger.requests["r-bed-1"].told.spoken
    ward.press("bed-1", presses=2)
    assert ward.rings("bed-1") == "bert"


# -- closing


def test_cancel_at_the_bed_stops_the_ringing_everywhere(ward: Ward) -> None:
    ward.press("bed-1")
    seat = ward.rings("bed-1")
    call_id = ward.lease("bed-1").call_id
    ward.says("bed-1", wire.CloseRequest(request_id="r-bed-1", reason=CloseReason.CANCELLED))
    assert ward.last(seat) == wire.CallEnded(call_id=call_id, reason=EndReason.CANCELLED)
    assert ward.last("bed-1") == wire.RequestClosed(request_id="r-bed-1", reason=CloseReason.CANCELLED)
    assert not ward.desk.ledger.requests
    assert not ward.desk.ledger.leases
    assert ward.seat_state(seat) is SeatState.FREE


def test_attendance_during_a_talk_ends_it(ward: Ward) -> None:
    ward.press("bed-1")
    lease = ward.talks("bed-1")
    ward.says("bed-1", wire.CloseRequest(request_id="r-bed-1", reason=CloseReason.ATTENDED))
    assert wire.CallEnded(call_id=lease.call_id, reason=EndReason.HANGUP) in ward.heard["anna"]
    assert not ward.desk.ledger.requests


def test_closing_twice_is_confirmed_twice(ward: Ward) -> None:
    for _ in range(2):
        ward.says("bed-1", wire.CloseRequest(request_id="gone", reason=CloseReason.CANCELLED))
        assert ward.last("bed-1") == wire.RequestClosed(request_id="gone", reason=CloseReason.CANCELLED)


def test_nobody_closes_another_beds_request(ward: Ward) -> None:
    ward.bed("bed-2")
    ward.press("bed-1")
    ward.says("bed-2", wire.CloseRequest(request_id="r-bed-1", reason=CloseReason.CANCELLED))
    assert "r-bed-1" in ward.desk.ledger.requests
    ward.press("bed-2", "r-bed-1")
    fault = ward.last("bed-2")
    assert isinstance(fault, wire.Fault)
    assert (fault.code, fault.field) == (ErrorCode.NOT_ALLOWED, "request_id")


def _spoken(close_from_seat: bool) -> Ward:
    ward = Ward(close_from_seat=close_from_seat)
    ward.seat("anna")
    ward.seat("carl", "icu")
    ward.bed("bed-1")
    ward.press("bed-1")
    ward.says("bed-1", wire.Hangup(call_id=ward.talks("bed-1").call_id, spoken=True))
    return ward


CLOSE = wire.CloseRequest(request_id="r-bed-1", reason=CloseReason.CLOSED_BY_SEAT)


def test_a_seat_closes_after_real_speech_where_the_facility_allows_it() -> None:
    ward = _spoken(close_from_seat=True)
    ward.says("anna", CLOSE)
    assert ward.last("bed-1") == wire.RequestClosed(request_id="r-bed-1", reason=CloseReason.CLOSED_BY_SEAT)
    assert not ward.desk.ledger.requests


@pytest.mark.parametrize(
    ("allowed", "seat", "close", "code"),
    [
        (False, "anna", CLOSE, ErrorCode.NOT_ALLOWED),
        (True, "anna", wire.CloseRequest(request_id="r-bed-1", reason=CloseReason.ATTENDED), ErrorCode.NOT_ALLOWED),
        (True, "carl", CLOSE, ErrorCode.UNKNOWN_REQUEST),
        (
            True,
            "anna",
            wire.CloseRequest(request_id="x", reason=CloseReason.CLOSED_BY_SEAT),
            ErrorCode.UNKNOWN_REQUEST,
        ),
    ],
)
def test_otherwise_a_seat_does_not_close(
    allowed: bool, seat: str, close: wire.CloseRequest, code: ErrorCode
) -> None:
    ward = _spoken(close_from_seat=allowed)
    ward.says(seat, close)
    fault = ward.last(seat)
    assert isinstance(fault, wire.Fault)
    assert fault.code is code
    assert "r-bed-1" in ward.desk.ledger.requests


# -- links are lost


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
    assert ward.lease("bed-1").seat == "bert"


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


# -- what arrives late or from the wrong one


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


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("anna", wire.Hangup(call_id="old")),
        ("anna", wire.LineBusy(call_id="old")),
        ("anna", wire.CallFailed(call_id="old")),
        ("anna", wire.Candidate(call_id="old", candidate="")),
        ("bed-1", wire.Cancel(call_id="old")),
    ],
)
def test_what_is_late_but_true_does_no_harm(ward: Ward, user: str, message: wire.Message) -> None:
    heard = len(ward.heard.get(user, []))
    ward.says(user, message)
    assert len(ward.heard.get(user, [])) == heard


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
