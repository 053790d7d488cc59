"""No dead end: what nobody answers goes to all seats, to the backup group and to the bed's own alarm."""

from __future__ import annotations

from typing import Any

import pytest

from kiosk.desk.allocation_events import Left, SeatAsked, TimedOut, Timer
from kiosk.desk.ledger import RequestState, Rules, Stage
from kiosk.desk.timeline import Happened
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CloseReason, EndReason, ErrorCode, OpenRequest, Phase, SeatState
from tests.unit.desk_model import Ward

pytestmark = pytest.mark.promise("R08")

TIMES = {"overdue_s": 180.0, "realert_s": 180.0, "backup_after_s": 420.0, "local_alarm_s": 600.0}
ALARM_ON = wire.LocalAlarm(request_id="r-bed-1", on=True)
ALARM_OFF = wire.LocalAlarm(request_id="r-bed-1", on=False)


def ward_3(*seats: str, **rules: Any) -> Ward:
    """A ward with a bed whose button was pressed; its seats are not ready. carl of ward-4 is free."""
    ward = Ward(**TIMES, backup_groups={"ward": "ward-4"}, **rules)
    for seat in seats or ("anna", "bert"):
        ward.seat(seat, free=False)
    ward.seat("carl", "ward-4")
    ward.bed("bed-1")
    ward.press("bed-1")
    return ward


def row(ward: Ward, seat: str) -> wire.RequestView | None:
    """The line of bed-1 on a seat's board."""
    board = ward.desk.ledger.board(ward.desk.ledger.seats[seat], now=ward.now, rules=Rules())
    return next((found for found in board.requests if found.bed_user == "bed-1"), None)


def stage(ward: Ward) -> Stage:
    return ward.desk.ledger.requests["r-bed-1"].stage


def take(ward: Ward, seat: str) -> wire.Message:
    """The seat takes the request; returns what it heard last."""
    ward.says(seat, wire.TakeRequest(request_id="r-bed-1"))
    return ward.heard.get(seat, [wire.Ping()])[-1]


def refusal(message: wire.Message) -> tuple[ErrorCode, str]:
    assert isinstance(message, wire.Fault)
    return message.code, message.message


# -- from stage to stage


def test_what_nobody_answers_is_overdue_at_every_seat_of_its_group_busy_ones_too() -> None:
    ward = ward_3()
    ward.bed("bed-2")
    ward.says("anna", wire.SetSeatState(state="free"))
    ward.talks("bed-1")
    ward.press("bed-2")
    ward.waits(179)
    board = ward.desk.ledger.board(ward.desk.ledger.seats["anna"], now=ward.now, rules=Rules())
    assert [found.overdue for found in board.requests] == [False, False]
    ward.waits(2)
    board = ward.desk.ledger.board(ward.desk.ledger.seats["anna"], now=ward.now, rules=Rules())
    assert [(found.bed_user, found.overdue, found.alerts) for found in board.requests] == (
        [("bed-2", True, 1), ("bed-1", False, 0)]
    )
    assert row(ward, "carl") is None


def test_it_sounds_again_and_again_until_it_is_answered() -> None:
    ward = ward_3()
    ward.waits(180)
    alerts = []
    for _ in range(4):
        alerts.append(ward.desk.ledger.requests["r-bed-1"].alerts)
        ward.waits(180)
    assert alerts == [1, 2, 3, 4]


def test_later_the_backup_group_sees_it_and_is_allocated() -> None:
    ward = ward_3()
    ward.waits(419)
    assert row(ward, "carl") is None
    ward.waits(1)
    assert ward.rings("bed-1") == "carl"
    line = row(ward, "carl")
    assert line is not None
    assert line.overdue


def test_a_seat_of_the_backup_group_that_becomes_free_later_is_allocated_too() -> None:
    ward = ward_3()
    ward.says("carl", wire.SetSeatState(state="rest"))
    ward.waits(430)
    assert not ward.desk.ledger.leases
    ward.says("carl", wire.SetSeatState(state="free"))
    assert ward.rings("bed-1") == "carl"


def test_places_are_told_in_the_beds_own_queue_only() -> None:
    ward = ward_3()
    ward.says("carl", wire.SetSeatState(state="rest"))
    ward.bed("bed-4", "ward-4")
    ward.waits(430)
    ward.press("bed-4")
    assert ward.all_of("bed-4", wire.RequestTaken)[-1].place == 1


def test_in_the_end_the_bed_gives_its_own_alarm() -> None:
    ward = ward_3()
    ward.says("carl", wire.SetSeatState(state="rest"))
    ward.waits(599)
    assert not ward.all_of("bed-1", wire.LocalAlarm)
    ward.waits(1)
    assert ward.last("bed-1") == ALARM_ON
    ward.waits(10_000)
    assert ward.all_of("bed-1", wire.LocalAlarm) == [ALARM_ON]
    assert ward.desk.ledger.requests["r-bed-1"].alerts > 50, "seats go on sounding"


def test_without_a_backup_group_the_alarm_follows_the_seats() -> None:
    ward = Ward(**TIMES)
    ward.bed("bed-1")
    ward.press("bed-1")
    ward.waits(600)
    assert stage(ward) is Stage.ALARM
    assert [entry.what.value for entry in ward.timelines["r-bed-1"]][-4:-1] == ["overdue", "alerted", "alerted"]
    assert ward.timelines["r-bed-1"][-1].reason == "local_alarm"


def test_a_request_of_a_bed_without_a_link_is_overdue_like_any_other() -> None:
    ward = ward_3()
    ward.does(Left("bed-1"))
    ward.waits(200)
    line = row(ward, "anna")
    assert line is not None
    assert (line.overdue, line.online) == (True, False)


def test_where_the_facility_does_not_queue_a_patient_put_off_is_not_forgotten() -> None:
    ward = ward_3(queue=False)
    assert ward.state("r-bed-1") is RequestState.DEFERRED
    ward.waits(200)
    take(ward, "anna")
    assert ward.rings("bed-1") == "anna"


def test_a_reservation_of_the_plain_http_door_never_escalates() -> None:
    ward = Ward(**TIMES, ring_s=1000.0)
    ward.seat("anna")
    ward.does(SeatAsked("app-7", OpenRequest(request_id="r7", age=0), wire.BedInfo(group="ward")))
    assert {timer.what for timer in ward.timers} == {"ring"}


# -- what ends it


def test_an_accept_undoes_all_of_it() -> None:
    ward = ward_3()
    ward.says("carl", wire.SetSeatState(state="rest"))
    ward.waits(650)
    take(ward, "carl")
    ward.talks("bed-1")
    assert ALARM_OFF in ward.heard["bed-1"]
    assert (stage(ward), ward.desk.ledger.requests["r-bed-1"].backup) == (Stage.USUAL, "")
    assert not [timer for timer in ward.timers if timer.what in ("escalate", "alert")]


def test_a_talk_that_breaks_off_brings_back_what_was_due_and_is_not_counted_as_waiting() -> None:
    ward = ward_3()
    ward.waits(421)
    lease = ward.talks("bed-1")
    ward.waits(1000)
    ward.says("bed-1", wire.CallFailed(call_id=lease.call_id))
    ward.waits(0)
    assert stage(ward) is Stage.BACKUP
    ward.waits(170)
    assert stage(ward) is Stage.BACKUP
    ward.waits(10)
    assert stage(ward) is Stage.ALARM


def test_asking_again_after_a_talk_starts_anew() -> None:
    ward = ward_3()
    ward.waits(421)
    ward.says("bed-1", wire.Hangup(call_id=ward.talks("bed-1").call_id))
    ward.waits(5000)
    assert stage(ward) is Stage.USUAL
    ward.press("bed-1", presses=2)
    ward.waits(170)
    assert stage(ward) is Stage.USUAL
    ward.waits(11)
    assert stage(ward) is Stage.OVERDUE


def test_a_close_ends_the_alarm_and_every_timer() -> None:
    ward = ward_3()
    ward.says("carl", wire.SetSeatState(state="rest"))
    ward.waits(650)
    ward.says("bed-1", wire.CloseRequest(request_id="r-bed-1", reason=CloseReason.ATTENDED))
    assert ALARM_OFF in ward.heard["bed-1"]
    assert ward.timers == {}


@pytest.mark.parametrize("what", ["escalate", "alert"])
def test_a_timer_that_ends_too_late_finds_nothing_to_do(what: str) -> None:
    ward = ward_3()
    ward.does(TimedOut(Timer(what, "gone")))
    ward.says("anna", wire.SetSeatState(state="free"))
    ward.talks("bed-1")
    before = ward.desk.ledger.requests["r-bed-1"]
    ward.does(TimedOut(Timer(what, "r-bed-1")))
    assert ward.desk.ledger.requests["r-bed-1"] == before


# -- links


def test_a_desk_that_was_just_started_takes_the_age_the_bed_tells() -> None:
    ward = Ward(**TIMES)
    ward.seat("anna", free=False)
    ward.bed("bed-1", request=OpenRequest(request_id="r-bed-1", age=650_000))
    assert ALARM_ON in ward.heard["bed-1"]
    line = row(ward, "anna")
    assert line is not None
    assert line.alerts == 1


def test_a_new_desk_does_not_count_the_time_before_the_press_that_asked_again() -> None:
    ward = Ward(**TIMES)
    ward.bed("bed-1", request=OpenRequest(request_id="r-bed-1", age=9_000_000, waited=170_000))
    assert stage(ward) is Stage.USUAL
    ward.waits(11)
    assert stage(ward) is Stage.OVERDUE
    ward.bed("bed-1")
    (held,) = ward.all_of("bed-1", wire.RequestHeld)
    assert (held.request.age, held.request.waited) == (9_011_000, 181_000)


def test_a_talk_that_a_new_desk_learns_of_is_not_overdue_however_old() -> None:
    ward = Ward(**TIMES)
    told = OpenRequest(
        request_id="r-bed-1", age=9_000_000, phase=Phase.TALKING, call_id="old", call_seat="anna", fence=5000
    )
    ward.bed("bed-1", request=told)
    assert not ward.all_of("bed-1", wire.LocalAlarm)
    assert not [timer for timer in ward.timers if timer.what in ("escalate", "alert")]


def test_a_bed_that_comes_back_hears_whether_its_alarm_is_on() -> None:
    ward = ward_3()
    ward.says("carl", wire.SetSeatState(state="rest"))
    ward.does(Left("bed-1"))
    ward.waits(650)
    ward.heard.clear()
    ward.bed("bed-1", request=OpenRequest(request_id="r-bed-1", age=650_000))
    assert ward.all_of("bed-1", wire.LocalAlarm) == [ALARM_ON]
    ward.bed("bed-2", request=OpenRequest(request_id="r2", age=0))
    assert ward.all_of("bed-2", wire.LocalAlarm) == [wire.LocalAlarm(request_id="r2", on=False)]


@pytest.mark.parametrize(("answered", "reached"), [(False, Stage.OVERDUE), (True, Stage.USUAL)])
def test_a_newer_request_of_a_bed_inherits_the_waiting_of_the_forgotten_one(answered: bool, reached: Stage) -> None:
    ward = ward_3()
    ward.waits(170)
    if answered:
        ward.says("anna", wire.SetSeatState(state="free"))
        ward.says("bed-1", wire.Hangup(call_id=ward.talks("bed-1").call_id))
    ward.bed("bed-1", request=OpenRequest(request_id="new", age=0))
    for seat in ("anna", "carl"):
        ward.says(seat, wire.SetSeatState(state="rest"))
    ward.waits(20)
    assert ward.desk.ledger.requests["new"].stage is reached


# -- taking it by a click


@pytest.mark.parametrize("state", ["free", "not_ready", "rest"])
def test_an_overdue_request_is_taken_by_a_click_and_the_seat_returns_to_its_choice(state: str) -> None:
    ward = ward_3("anna", wrap_up_s=0.0)
    ward.waits(200)
    if state == "free":
        ward.says("anna", wire.SetSeatState(state="free"))
        ward.says("anna", wire.Reject(call_id=ward.lease("bed-1").call_id))
    else:
        ward.says("anna", wire.SetSeatState(state=state))  # type: ignore[arg-type]  # one of the three
    take(ward, "anna")
    assert ward.rings("bed-1") == "anna"
    ward.says("anna", wire.Accept(call_id=ward.lease("bed-1").call_id))
    ward.says("anna", wire.Hangup(call_id=ward.lease("bed-1").call_id))
    assert ward.seat_state("anna") is SeatState(state)


def test_a_seat_that_wraps_up_takes_it_and_its_wrap_up_does_not_end_the_ringing() -> None:
    ward = ward_3("anna", wrap_up_s=1000.0)
    ward.bed("bed-2")
    ward.press("bed-2")
    ward.says("anna", wire.SetSeatState(state="free"))
    ward.says("bed-1", wire.Hangup(call_id=ward.talks("bed-1").call_id))
    assert ward.seat_state("anna") is SeatState.WRAP_UP
    ward.waits(200)
    ward.says("anna", wire.TakeRequest(request_id="r-bed-2"))
    assert ward.rings("bed-2") == "anna"
    assert Timer("wrap_up", "anna") not in ward.timers


@pytest.mark.parametrize("state", ["not_ready", "rest"])
def test_a_taken_call_that_comes_to_nothing_leaves_the_seat_as_it_was(state: str) -> None:
    ward = ward_3("anna")
    ward.says("anna", wire.SetSeatState(state=state))  # type: ignore[arg-type]  # one of the three
    ward.waits(200)
    take(ward, "anna")
    ward.passes(Timer("invite", ward.lease("bed-1").call_id))
    assert ward.seat_state("anna") is SeatState(state)
    assert ward.state("r-bed-1") is RequestState.WAITING


def test_taking_it_stops_the_ring_elsewhere() -> None:
    ward = ward_3()
    ward.waits(200)
    ward.says("anna", wire.SetSeatState(state="free"))
    assert ward.rings("bed-1") == "anna"
    old = ward.lease("bed-1")
    take(ward, "bert")
    assert wire.CallEnded(call_id=old.call_id, reason=EndReason.ANSWERED_ELSEWHERE) in ward.heard["anna"]
    assert ward.rings("bed-1") == "bert"
    assert not ward.desk.ledger.requests["r-bed-1"].declined, "anna had not declined it"
    assert ward.seat_state("anna") is SeatState.FREE


def test_what_was_taken_first_is_not_taken_twice() -> None:
    ward = ward_3()
    ward.waits(200)
    take(ward, "anna")
    refused = (ErrorCode.NOT_ALLOWED, "somebody has taken this request already")
    assert refusal(take(ward, "bert")) == refused
    ward.talks("bed-1")
    assert refusal(take(ward, "bert")) == refused
    assert ward.lease("bed-1").seat == "anna"


def test_a_busy_or_ringing_seat_cannot_take_it() -> None:
    ward = ward_3("anna")
    ward.bed("bed-2")
    ward.waits(200)
    ward.press("bed-2", priority=1)
    ward.says("anna", wire.SetSeatState(state="free"))
    assert refusal(take(ward, "anna")) == (ErrorCode.NOT_ALLOWED, "your seat is ringing: finish that call first")
    ward.talks("bed-2")
    assert refusal(take(ward, "anna")) == (ErrorCode.NOT_ALLOWED, "your seat is busy: finish that call first")


def test_what_is_not_overdue_cannot_be_taken() -> None:
    ward = ward_3()
    assert refusal(take(ward, "anna"))[1].startswith("this request is not overdue yet")


def test_what_a_seat_does_not_see_it_cannot_take() -> None:
    ward = ward_3()
    ward.waits(200)
    assert refusal(take(ward, "carl")) == (ErrorCode.UNKNOWN_REQUEST, "there is no such open request")
    ward.says("anna", wire.TakeRequest(request_id="none"))
    assert refusal(ward.last("anna"))[0] is ErrorCode.UNKNOWN_REQUEST


def test_a_bed_without_a_link_cannot_be_called_and_the_seat_is_told_to_go_there() -> None:
    ward = ward_3()
    ward.does(Left("bed-1"))
    ward.waits(200)
    assert refusal(take(ward, "anna")) == (ErrorCode.NOT_ALLOWED, "the bed is not connected: go there")


def test_the_timeline_tells_each_stage() -> None:
    ward = ward_3()
    ward.says("carl", wire.SetSeatState(state="rest"))
    ward.waits(600)
    told = [(entry.what, entry.reason) for entry in ward.timelines["r-bed-1"]][-5:]
    assert told == [
        (Happened.OVERDUE, ""),
        (Happened.ALERTED, ""),
        (Happened.ESCALATED, "backup_group"),
        (Happened.ALERTED, ""),
        (Happened.ESCALATED, "local_alarm"),
    ]
