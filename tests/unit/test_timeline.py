"""The timeline of a request tells all that happened to it, and nothing that it must not tell."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from kiosk.desk.allocation_events import Left, SeatAsked, Timer
from kiosk.desk.books import REQUEST
from kiosk.desk.ledger import RequestState
from kiosk.desk.timeline import MOVED, Change, Entry, Happened
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CloseReason, OpenRequest, Phase, Priority
from tests.unit.desk_model import Ward

pytestmark = pytest.mark.promise("R21")


def told(ward: Ward, request_id: str = "r-bed-1") -> list[str]:
    """What happened, in order."""
    return [entry.what.value for entry in ward.timelines[request_id]]


def last(ward: Ward, what: Happened, request_id: str = "r-bed-1") -> Entry:
    return [entry for entry in ward.timelines[request_id] if entry.what is what][-1]


def test_every_move_of_a_request_has_its_entry() -> None:
    moves = {(state, target) for state, row in REQUEST.items() for target in row.values()}
    assert set(MOVED) == moves


def test_a_request_is_told_from_the_press_to_the_bedside(ward: Ward) -> None:
    ward.press("bed-1", age=1500)
    lease = ward.talks("bed-1")
    ward.now += 12.5
    ward.says("anna", wire.Hangup(call_id=lease.call_id))
    ward.press("bed-1", phase=Phase.ANSWERED, spoken=True)
    ward.says("bed-1", wire.CloseRequest(request_id="r-bed-1", reason=CloseReason.ATTENDED))
    assert told(ward) == ["raised", "acknowledged", "reserved", "rang", "answered", "ended", "spoken", "closed"]
    raised = ward.timelines["r-bed-1"][0]
    assert (raised.age_ms, raised.bed_user, raised.room) == (1500, "bed-1", "bed-1")
    for what in (Happened.RESERVED, Happened.RANG, Happened.ANSWERED, Happened.ENDED):
        assert (last(ward, what).seat, last(ward, what).call_id) == ("anna", lease.call_id)
    ended = last(ward, Happened.ENDED)
    assert (ended.reason, ended.duration_ms) == ("hangup", 12_500)
    assert last(ward, Happened.CLOSED).reason == "attended"
    assert last(ward, Happened.CLOSED).spoken


def test_who_did_not_take_it_is_told_with_the_reason(ward: Ward) -> None:
    ward.press("bed-1")
    ward.rings("bed-1")
    ward.passes(Timer("ring", ward.lease("bed-1").call_id))
    ward.rings("bed-1")
    ward.says("bert", wire.Reject(call_id=ward.lease("bed-1").call_id))
    assert told(ward)[2:] == ["reserved", "rang", "not_taken"] * 2 + ["queued"]
    reasons = [(entry.seat, entry.reason) for entry in ward.timelines["r-bed-1"] if entry.reason]
    assert reasons == [("anna", "no_response"), ("bert", "rejected")]
    assert last(ward, Happened.QUEUED).place == 1


def test_a_second_press_and_the_urgency_it_brings_are_told(ward: Ward) -> None:
    ward.press("bed-1")
    ward.press("bed-1", presses=3, priority=Priority.URGENT)
    assert told(ward)[-2:] == ["pressed_again", "priority_raised"]
    assert (last(ward, Happened.PRESSED_AGAIN).presses, last(ward, Happened.PRIORITY_RAISED).priority) == (3, 1)


def test_asking_again_after_a_talk_is_told(ward: Ward) -> None:
    ward.press("bed-1")
    ward.says("anna", wire.Hangup(call_id=ward.talks("bed-1").call_id))
    ward.press("bed-1", presses=2)
    assert told(ward)[-3:] == ["pressed_again", "asked_again", "reserved"]


def test_a_bed_that_goes_and_comes_is_told_in_the_timeline_of_its_request(ward: Ward) -> None:
    ward.press("bed-1")
    ward.talks("bed-1")
    ward.does(Left("bed-1"))
    ward.bed("bed-1", request=OpenRequest(request_id="r-bed-1", age=0, phase=Phase.ANSWERED))
    assert told(ward)[-3:] == ["bed_offline", "bed_online", "ended"]


def test_a_bed_without_a_request_has_no_timeline(ward: Ward) -> None:
    ward.does(Left("bed-1"))
    ward.bed("bed-1")
    assert ward.timelines == {}


def test_what_a_bed_says_twice_is_told_once(ward: Ward) -> None:
    ward.press("bed-1")
    before = told(ward)
    ward.press("bed-1")
    assert told(ward) == before


def test_where_the_facility_does_not_queue_the_patient_being_put_off_is_told() -> None:
    ward = Ward(queue=False)
    ward.bed("bed-1")
    ward.press("bed-1")
    assert told(ward) == ["raised", "acknowledged", "deferred"]


def test_a_talk_a_new_desk_learns_of_is_told_as_resumed() -> None:
    ward = Ward()
    ward.bed(
        "bed-1",
        request=OpenRequest(
            request_id="r1", age=0, phase=Phase.TALKING, call_id="old", call_seat="anna", fence=5000
        ),
    )
    assert told(ward, "r1") == ["raised", "acknowledged", "resumed"]
    assert last(ward, Happened.RESUMED, "r1").seat == "anna"


def test_a_request_that_went_into_a_newer_one_is_told_as_merged(ward: Ward) -> None:
    ward.press("bed-1")
    ward.bed("bed-1", request=OpenRequest(request_id="new", age=0))
    assert last(ward, Happened.CLOSED).reason == "merged"
    assert told(ward, "new")[:2] == ["raised", "acknowledged"]


def test_a_request_of_a_plain_http_client_is_told_to_its_end(ward: Ward) -> None:
    ward.does(SeatAsked("app-7", OpenRequest(request_id="r7", age=0), wire.BedInfo(group="ward")))
    ward.passes(Timer("ring", ward.lease("app-7").call_id))
    assert told(ward, "r7") == ["raised", "acknowledged", "reserved", "closed"]
    assert last(ward, Happened.CLOSED, "r7").reason == "no_response"


def test_no_sdp_comes_into_a_timeline(ward: Ward) -> None:
    ward.press("bed-1")
    ward.talks("bed-1")
    ward.says("anna", wire.Answer(call_id=ward.lease("bed-1").call_id, sdp="answer-sdp"))
    for entry in ward.timelines["r-bed-1"]:
        assert not {"offer", "answer-sdp"} & set(map(str, asdict(entry).values()))


def test_a_move_that_no_table_names_cannot_pass_in_silence(ward: Ward) -> None:
    ward.press("bed-1")
    before = replace(ward.desk.ledger.requests["r-bed-1"], state=RequestState.ANSWERED)
    after = replace(before, state=RequestState.RINGING)
    with pytest.raises(KeyError):
        list(Change(before, after, ward.desk.ledger.beds["bed-1"], 100.0).entries())
