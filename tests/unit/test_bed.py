"""The bed between its buttons, its media and the desk: the two machines move together and the wire hears it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from kiosk.bedside import bed_events, call_events, media_effects, request_events, request_state
from kiosk.bedside.bed import Bed
from kiosk.bedside.bed_events import (
    AttendPressed,
    CallPressed,
    CancelHeld,
    CancelPressed,
    DeviceChanged,
    Effect,
    Event,
    Keep,
    KickedOut,
    LinkDown,
    LinkUp,
    Measured,
    PicturesShed,
    Received,
    Refused,
    Restored,
    SeatMeasured,
    Send,
)
from kiosk.bedside.call_events import (
    Kind,
    MediaDown,
    MediaStalled,
    MediaUp,
    Offered,
    Spoken,
    TimedOut,
)
from kiosk.bedside.journal import Kept, KeptRequest
from kiosk.bedside.media_effects import (
    OpenMedia,
    Timer,
)
from kiosk.bedside.request_events import Link
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, ClosedRequest, CloseReason, EndReason, ErrorCode, OpenRequest, Phase
from tests.unit.one_call import the_call

NOW = 100.0
PRESS = CallPressed(NOW, "r1")
ALLOCATED = wire.Allocated(request_id="r1", call_id="c1", fence=7, seat="nurse-1")
ACCEPTED = wire.Accepted(call_id="c1", call_type=CallType.VIDEO)

WAITING: list[Event] = [LinkUp(12.0), PRESS, Received(wire.RequestTaken(request_id="r1"))]
RINGING: list[Event] = [
    *WAITING,
    Received(ALLOCATED),
    Offered("c1", "offer"),
    Received(wire.Ringing(call_id="c1")),
    Received(wire.Answer(call_id="c1", sdp="answer")),
]
CONNECTING: list[Event] = [*RINGING, Received(ACCEPTED)]
TALKING: list[Event] = [*CONNECTING, MediaUp("c1", NOW)]
PATHS = {"idle": [], "waiting": WAITING, "ringing": RINGING, "connecting": CONNECTING, "talking": TALKING}


def new_bed(devices: wire.Devices | None = None, **rules: object) -> Bed:
    return Bed(
        rules=request_state.Rules(**rules),  # type: ignore[arg-type]  # the tests' own keywords
        info=wire.BedInfo(group="ward", room="301", bed="2"),
        devices=devices or wire.Devices(),
    )


def played(*events: Event, bed: Bed | None = None) -> tuple[Bed, list[Effect]]:
    bed, effects = bed or new_bed(), list[Effect]()
    for event in events:
        effects = bed.handle(event, now=NOW)
    return bed, effects


def sent(effects: list[Effect]) -> list[wire.Message]:
    return [effect.message for effect in effects if isinstance(effect, Send)]


def states(bed: Bed) -> tuple[request_events.State, call_events.State]:
    return bed.request.state, the_call(bed).state


KEPT = Kept(
    request=KeptRequest(request_id="r0", age=5000, presses=2, spoken=True),
    closed=(ClosedRequest(request_id="r9", reason=CloseReason.CANCELLED),),
)
EVERYTHING: list[Event] = [
    Restored(KEPT),
    PRESS,
    CancelPressed(),
    CancelHeld(),
    AttendPressed(),
    LinkUp(30.0),
    LinkDown(),
    Refused(),
    KickedOut(),
    *(
        Received(message)
        for message in (
            wire.RequestTaken(request_id="r1", place=2),
            wire.RequestClosed(request_id="r1", reason=CloseReason.CLOSED_BY_SEAT),
            wire.RequestHeld(request=OpenRequest(request_id="r0", age=5)),
            wire.LocalAlarm(request_id="r1", on=True),
            ALLOCATED,
            wire.Ringing(call_id="c1"),
            wire.Answer(call_id="c1", sdp="answer"),
            wire.Candidate(call_id="c1", candidate="candidate:1"),
            ACCEPTED,
            wire.CallEnded(call_id="c1", reason=EndReason.HANGUP),
            wire.MediaState(call_id="c1", audio=True, video=True),
            wire.Quality(call_id="c1", quality=wire.QualityLevel.GOOD),
            wire.SwitchToAudio(call_id="c1"),
            wire.MediaStalled(call_id="c1"),
            wire.Fault(code=ErrorCode.STALE_CALL, message="", call_id="c1"),
            wire.Fault(code=ErrorCode.TOO_MANY, message=""),
            wire.Ack(id="1"),
        )
    ),
    DeviceChanged("camera", "gone"),
    DeviceChanged("button", "stuck"),
    Measured(wire.Quality(call_id="c1", quality=wire.QualityLevel.POOR)),
    Offered("c1", "offer"),
    MediaUp("c1", NOW),
    MediaDown("c1", "broken", NOW),
    MediaStalled("c1", "nothing comes", NOW),
    Spoken("c1"),
    TimedOut("c1", Timer.RING, NOW),
    TimedOut("c1", Timer.CONNECT, NOW),
    TimedOut("c1", Timer.REBUILD, NOW),
]


@pytest.mark.parametrize(("path", "event"), list(itertools.product(PATHS, EVERYTHING)))
def test_everything_may_happen_at_any_moment(path: str, event: Event) -> None:
    bed, effects = played(*PATHS[path], event)
    talking = the_call(bed).begun
    assert (bed.request.state is request_events.State.TALKING) == talking
    if path != "idle" and not isinstance(event, AttendPressed | CancelHeld):
        closed = isinstance(event, Received) and isinstance(event.message, wire.RequestClosed)
        assert closed or bed.request.request_id == "r1", "only its own ends close a request"
    for message in sent(effects):
        codec.Decoder(wire.FromKiosk).decode(codec.encode(message))


def test_a_press_is_told_to_the_desk_and_asks_for_its_word() -> None:
    _, effects = played(LinkUp(30.0), PRESS)
    assert effects[-1] == Send(wire.Request(request=OpenRequest(request_id="r1", age=0)), acknowledged=True)


def test_the_snapshot_tells_place_request_closes_and_devices() -> None:
    broken = wire.Devices(camera="gone")
    bed, _ = played(PRESS, AttendPressed(), CallPressed(NOW, "r2"), bed=new_bed(broken))
    snapshot = bed.snapshot(now=NOW + 2)
    assert snapshot.bed == wire.BedInfo(group="ward", room="301", bed="2")
    assert snapshot.request == OpenRequest(request_id="r2", age=2000)
    assert [closed.request_id for closed in snapshot.closed] == ["r1"]
    assert snapshot.devices == broken


def test_an_allocation_opens_the_media_for_as_long_as_the_desk_lets_seats_ring() -> None:
    _, effects = played(*WAITING, Received(ALLOCATED))
    assert media_effects.StartTimer("c1", Timer.RING, 12.0 + 5.0) in effects
    assert OpenMedia("c1", CallType.VIDEO) in effects


@pytest.mark.promise("R09")
def test_an_allocation_for_another_request_is_given_back() -> None:
    bed, effects = played(*WAITING, Received(wire.Allocated(request_id="old", call_id="c9", fence=1, seat="s")))
    assert sent(effects) == [wire.Cancel(call_id="c9")]
    assert the_call(bed).state is call_events.State.IDLE


@pytest.mark.promise("R09")
def test_a_second_allocation_is_answered_line_busy() -> None:
    again = wire.Allocated(request_id="r1", call_id="c2", fence=8, seat="nurse-2")
    _, effects = played(*RINGING, Received(again))
    assert sent(effects) == [wire.LineBusy(call_id="c2")]


def test_offer_answer_and_candidates_travel() -> None:
    _, effects = played(*WAITING, Received(ALLOCATED), Offered("c1", "offer"))
    assert sent(effects) == [wire.Invite(call_id="c1", fence=7, call_type=CallType.VIDEO, sdp="offer")]
    _, effects = played(*RINGING, Received(wire.Candidate(call_id="c1", candidate="candidate:1", sdp_mid="0")))
    assert effects == [media_effects.AddCandidate("c1", "candidate:1", "0", None)]


def test_talk_begins_when_media_flow_and_the_seat_is_told_what_it_gets() -> None:
    bed, effects = played(*TALKING)
    assert states(bed) == (request_events.State.TALKING, call_events.State.CONNECTED)
    told, media = sent(effects)
    assert isinstance(told, wire.Request)
    assert told.request.call_id == "c1"
    assert media == wire.MediaState(call_id="c1", audio=True, video=True, steady=True)


def test_a_bed_without_a_camera_says_so_when_the_talk_begins() -> None:
    _, effects = played(*TALKING, bed=new_bed(wire.Devices(camera="none found")))
    assert sent(effects)[-1] == wire.MediaState(call_id="c1", audio=True, video=False, steady=True)


def test_a_device_that_fails_and_comes_back_is_told_once_each_time() -> None:
    gone = DeviceChanged("microphone", "unplugged")
    bed, effects = played(*TALKING, gone)
    assert sent(effects) == [
        wire.DeviceState(devices=wire.Devices(microphone="unplugged")),
        wire.MediaState(call_id="c1", audio=False, video=True, steady=True),
    ]
    assert played(gone, bed=bed)[1] == []
    _, effects = played(DeviceChanged("microphone"), bed=bed)
    assert sent(effects)[0] == wire.DeviceState(devices=wire.Devices())
    _, effects = played(*WAITING, DeviceChanged("camera", "x" * 999))
    (state,) = sent(effects)
    assert isinstance(state, wire.DeviceState)
    assert len(state.devices.camera) == 200, "the wire's own limit"


def test_what_kind_of_fault_it_is_is_told_until_it_is_mended() -> None:
    silent, failed = wire.FaultKind.SILENT, wire.FaultKind.FAILED
    bed, _ = played(LinkUp(30.0), DeviceChanged("microphone", "no sound", silent))
    _, effects = played(DeviceChanged("camera", "gone", failed), bed=bed)
    both = wire.Devices(microphone="no sound", camera="gone", kinds={"microphone": silent, "camera": failed})
    assert sent(effects) == [wire.DeviceState(devices=both)]
    _, effects = played(DeviceChanged("microphone"), bed=bed)
    assert sent(effects) == [wire.DeviceState(devices=wire.Devices(camera="gone", kinds={"camera": failed}))]


def test_a_stuck_button_is_told_to_the_desk_and_shown_until_it_is_free() -> None:
    bed, effects = played(LinkUp(30.0), DeviceChanged("button", "stuck"))
    shown = request_events.Show(request_events.View(request_events.LampSign.OFF, "button_stuck"))
    assert effects == [Send(wire.DeviceState(devices=wire.Devices(button="stuck"))), shown]
    assert played(DeviceChanged("button", "stuck"), bed=bed)[1] == []
    _, effects = played(DeviceChanged("button"), bed=bed)
    assert sent(effects) == [wire.DeviceState(devices=wire.Devices())]
    assert bed.request.button_stuck is False
    _, effects = played(*TALKING, DeviceChanged("button", "stuck"))
    assert len(sent(effects)) == 1, "microphone and camera are as they were"


@pytest.mark.parametrize(
    ("end", "after"),
    [
        (Received(wire.CallEnded(call_id="c1", reason=EndReason.HANGUP)), request_events.State.ANSWERED),
        (CancelPressed(), request_events.State.ANSWERED),
        (Received(wire.CallEnded(call_id="c1", reason=EndReason.SEAT_LOST)), request_events.State.UNSENT),
        (MediaDown("c1", "the path is lost", NOW), request_events.State.UNSENT),
        (
            Received(wire.Fault(code=ErrorCode.STALE_CALL, message="", call_id="c1")),
            request_events.State.UNSENT,
        ),
    ],
)
def test_a_talk_ended_by_a_person_is_answered_and_one_that_broke_is_not(
    end: Event, after: request_events.State
) -> None:
    bed, effects = played(*TALKING, Spoken("c1"), end)
    assert states(bed) == (after, call_events.State.IDLE)
    assert bed.request.spoken
    assert media_effects.CloseMedia("c1") in effects
    told = [message for message in sent(effects) if isinstance(message, wire.Request)]
    assert [message.request.spoken for message in told] == [True]


@pytest.mark.parametrize(
    "end",
    [
        Received(wire.CallEnded(call_id="c1", reason=EndReason.REJECTED)),
        Received(wire.CallEnded(call_id="c1", reason=EndReason.NO_RESPONSE)),
        MediaDown("c1", "no path", NOW),
        TimedOut("c1", Timer.RING, NOW),
    ],
)
def test_a_ringing_that_ends_leaves_the_request_sent(end: Event) -> None:
    bed, _ = played(*RINGING, end)
    assert states(bed) == (request_events.State.SENT, call_events.State.IDLE)


def test_a_media_failure_tells_the_desk_whether_people_have_spoken() -> None:
    _, effects = played(*TALKING, Spoken("c1"), MediaDown("c1", "w" * 999, NOW))
    failed = sent(effects)[0]
    assert failed == wire.CallFailed(call_id="c1", why="w" * 200, spoken=True)


@pytest.mark.parametrize("path", ["waiting", "ringing", "connecting"])
def test_holding_cancel_closes_the_request_and_ends_its_call(path: str) -> None:
    bed, effects = played(*PATHS[path], CancelPressed(), CancelHeld())
    assert states(bed) == (request_events.State.IDLE, call_events.State.IDLE)
    closing = Send(wire.CloseRequest(request_id="r1", reason=CloseReason.CANCELLED), acknowledged=True)
    assert closing in effects
    stopped = {"waiting": [], "ringing": [wire.Hangup(call_id="c1")], "connecting": [wire.Hangup(call_id="c1")]}
    assert sent(effects)[:-1] == stopped[path]


def test_a_weak_hand_that_hangs_up_and_holds_on_cancels_nothing() -> None:
    bed, _ = played(*TALKING, CancelPressed(), CancelHeld())
    assert states(bed) == (request_events.State.ANSWERED, call_events.State.IDLE)
    bed, _ = played(CancelPressed(), CancelHeld(), bed=bed)
    assert bed.request.state is request_events.State.IDLE, "the next hold is meant"


def test_where_a_press_is_enough_to_cancel_it_only_hangs_up_in_a_talk() -> None:
    bed, effects = played(*TALKING, CancelHeld())
    assert bed.request.state is request_events.State.ANSWERED
    assert wire.Hangup(call_id="c1") in sent(effects)


def test_attendance_during_a_talk_ends_both() -> None:
    bed, effects = played(*TALKING, AttendPressed())
    assert states(bed) == (request_events.State.IDLE, call_events.State.IDLE)
    assert wire.Hangup(call_id="c1") in sent(effects)
    assert wire.CloseRequest(request_id="r1", reason=CloseReason.ATTENDED) in sent(effects)


def test_a_request_closed_at_the_desk_ends_here_too() -> None:
    bed, _ = played(*WAITING, Received(wire.RequestClosed(request_id="r1", reason=CloseReason.CLOSED_BY_SEAT)))
    assert bed.request.state is request_events.State.IDLE


@pytest.mark.parametrize(
    ("event", "link"), [(LinkDown(), Link.DOWN), (Refused(), Link.REFUSED), (KickedOut(), Link.REFUSED)]
)
def test_a_lost_link_is_shown_and_ends_a_ringing(event: Event, link: Link) -> None:
    bed, _ = played(*RINGING, event)
    assert states(bed) == (request_events.State.UNSENT, call_events.State.IDLE)
    assert bed.request.link is link


def test_a_talk_outlives_the_link_but_not_another_device_with_our_name() -> None:
    assert the_call(played(*TALKING, LinkDown())[0]).state is call_events.State.CONNECTED
    assert the_call(played(*TALKING, KickedOut())[0]).state is call_events.State.IDLE


def test_a_path_without_pictures_is_told_to_the_seat_and_so_is_its_end() -> None:
    bed, effects = played(*TALKING, PicturesShed("c1", shed=True))
    assert sent(effects)[-1] == wire.MediaState(call_id="c1", audio=True, video=False, steady=True)
    _, effects = played(PicturesShed("c1", shed=False), bed=bed)
    assert sent(effects) == [wire.MediaState(call_id="c1", audio=True, video=True, steady=True)]
    _, effects = played(PicturesShed("another", shed=True), bed=bed)
    assert sent(effects) == []


def test_what_the_seat_sends_is_told_and_video_may_go_on_as_audio() -> None:
    bed, effects = played(*TALKING, Received(wire.MediaState(call_id="c1", audio=True, video=True)))
    assert [effect.kind for effect in effects if isinstance(effect, call_events.Emit)] == [Kind.AUDIO, Kind.VIDEO]
    _, effects = played(Received(wire.SwitchToAudio(call_id="c1")), bed=bed)
    assert media_effects.StopVideo("c1") in effects
    _, effects = played(DeviceChanged("microphone", "gone"), bed=bed)
    assert sent(effects)[-1] == wire.MediaState(call_id="c1", audio=False, video=False, steady=True)


def test_a_forgotten_request_is_taken_back_and_asserted() -> None:
    held = OpenRequest(request_id="r0", age=5000, presses=2)
    bed, effects = played(LinkUp(30.0), Received(wire.RequestHeld(request=held)))
    assert bed.request.request_id == "r0"
    assert sent(effects) == [wire.Request(request=held)]


def kept(effects: list[Effect]) -> list[Kept]:
    return [effect.kept for effect in effects if isinstance(effect, Keep)]


def test_on_a_press_the_lamp_is_first_then_the_disk_then_the_desk() -> None:
    _, effects = played(LinkUp(30.0), PRESS)
    assert [type(effect) for effect in effects] == [request_events.Show, Keep, Send]
    assert kept(effects) == [Kept(request=KeptRequest(request_id="r1", age=0))]


@pytest.mark.parametrize(("path", "event"), list(itertools.product(PATHS, EVERYTHING)))
def test_what_would_survive_is_always_what_was_kept_last(path: str, event: Event) -> None:
    bed, last, effects = new_bed(), Kept(), list[Effect]()
    for happening in [*PATHS[path], event]:
        effects = bed.handle(happening, now=NOW)
        restored = [happening.kept] if isinstance(happening, Restored) and path == "idle" else []
        last = [last, *restored, *kept(effects)][-1]
    again, _ = played(Restored(last))
    assert again.request.request_id == bed.request.request_id
    assert (again.request.presses, again.request.closed) == (bed.request.presses, bed.request.closed)
    assert again.request.spoken == (bed.request.spoken or bed.spoken)
    assert again.request.alarm == bed.request.alarm
    names = [type(effect) for effect in effects]
    assert Keep not in names or Send not in names or names.index(Keep) < names.index(Send)


def test_what_does_not_change_it_is_not_kept_again() -> None:
    bed, _ = played(*WAITING)
    assert kept(bed.handle(Received(wire.RequestTaken(request_id="r1", place=3)), now=NOW + 60)) == []


def test_a_close_is_kept_until_the_desk_confirms_it() -> None:
    bed, effects = played(*WAITING, AttendPressed())
    assert kept(effects) == [Kept(closed=(ClosedRequest(request_id="r1", reason=CloseReason.ATTENDED),))]
    confirmed = Received(wire.RequestClosed(request_id="r1", reason=CloseReason.ATTENDED))
    assert kept(played(confirmed, bed=bed)[1]) == [Kept()]


def test_a_bed_that_starts_goes_on_where_its_journal_ends() -> None:
    bed, effects = played(Restored(KEPT))
    assert (sent(effects), kept(effects)) == ([], []), "nobody can be told yet, and the disk has it"
    assert request_state.view(bed.request).prompt == "use_other_bell"
    assert bed.request.state is request_events.State.UNSENT
    snapshot = bed.snapshot(now=NOW + 1)
    assert snapshot.request == OpenRequest(request_id="r0", age=6000, presses=2, spoken=True)
    assert snapshot.closed == KEPT.closed


def test_a_request_that_was_answered_is_answered_after_a_power_cut() -> None:
    answered = KeptRequest(request_id="r0", age=5000, phase=Phase.ANSWERED, spoken=True)
    bed, _ = played(Restored(Kept(request=answered)))
    assert bed.request.state is request_events.State.ANSWERED
    _, effects = played(CallPressed(NOW, "r1"), bed=bed)
    asked_again = KeptRequest(request_id="r0", age=5000, presses=2, spoken=True, waited=0)
    assert kept(effects)[0].request == asked_again
    again, _ = played(Restored(Kept(request=asked_again)))
    told = again.snapshot(now=NOW + 1).request
    assert told is not None
    assert (told.age, told.waited) == (6000, 1000), "the desk must not count from the first press"


def test_an_alarm_goes_on_after_a_power_cut_until_the_desk_says_otherwise() -> None:
    alarm = Received(wire.LocalAlarm(request_id="r1", on=True))
    _, effects = played(*WAITING, alarm)
    (on_disk,) = kept(effects)
    bed, _ = played(Restored(on_disk))
    assert bed.relay_closed
    played(LinkUp(30.0), bed=bed)
    assert (bed.request.alarm, bed.relay_closed, request_state.view(bed.request).prompt) == (True, True, "alarm")
    taken = Received(wire.RequestTaken(request_id="r1"))
    over = Received(wire.LocalAlarm(request_id="r1", on=False))
    _, effects = played(taken, over, bed=bed)
    assert (bed.request.alarm, bed.relay_closed) == (False, False)
    assert kept(effects) == [Kept(request=KeptRequest(request_id="r1", age=0))]


def test_a_bed_with_an_empty_journal_starts_idle() -> None:
    bed, effects = played(Restored(Kept()))
    assert bed.request.state is request_events.State.IDLE
    assert (sent(effects), kept(effects)) == ([], [])


def test_messages_that_concern_nobody_here_change_nothing() -> None:
    before, _ = played(*RINGING)
    kept = states(before)
    unconcerned: list[wire.Message] = [
        wire.Ack(id="7"),
        wire.Fault(code=ErrorCode.TOO_MANY, message=""),
        wire.Fault(code=ErrorCode.STALE_CALL, message=""),
        wire.Ping(),
    ]
    for message in unconcerned:
        after, effects = played(Received(message), bed=before)
        assert (states(after), effects) == (kept, [])


@pytest.mark.parametrize("make", [new_bed, lambda: new_bed(call_type=CallType.AUDIO)])
def test_the_call_is_of_the_kind_the_bed_asks_for(make: Callable[[], Bed]) -> None:
    bed = make()
    _, effects = played(*WAITING, Received(ALLOCATED), bed=bed)
    assert OpenMedia("c1", bed.request.rules.call_type) in effects
    assert bed_events.Send not in [type(effect) for effect in effects]


STALL = MediaStalled("c1", "nothing comes", NOW)


@pytest.mark.parametrize("noticed", [STALL, Received(wire.MediaStalled(call_id="c1"))])
def test_a_dead_path_is_told_to_the_patient_and_rebuilt_whoever_notices(noticed: Event) -> None:
    bed, effects = played(*TALKING, noticed)
    assert media_effects.RebuildMedia("c1", 1, CallType.VIDEO) in effects
    assert request_state.view(bed.request).prompt == "interrupted"
    assert sent(effects) == [], "for the desk the talk goes on"
    _, effects = played(Offered("c1", "offer", 1), bed=bed)
    assert sent(effects) == [wire.Rebuild(call_id="c1", connection=1, sdp="offer")]
    _, effects = played(Received(wire.Answer(call_id="c1", sdp="answer", connection=1)), bed=bed)
    assert effects == [media_effects.ApplyAnswer("c1", "answer")]
    _, effects = played(Received(wire.Candidate(call_id="c1", candidate="c", connection=1)), bed=bed)
    assert effects == [media_effects.AddCandidate("c1", "c", None, None)]
    bed, effects = played(MediaUp("c1", NOW, 1), bed=bed)
    assert request_state.view(bed.request).prompt == "talking"


def test_what_the_seat_says_of_an_older_connection_rebuilds_nothing() -> None:
    bed, _ = played(*TALKING, STALL, MediaUp("c1", NOW, 1))
    after, effects = played(Received(wire.MediaStalled(call_id="c1")), bed=bed)
    assert states(after) == (request_events.State.TALKING, call_events.State.CONNECTED)
    assert sent(effects) == []


def test_an_interrupted_talk_is_hung_up_by_the_cancel_button_and_told_of_its_devices() -> None:
    bed, effects = played(*TALKING, STALL, DeviceChanged("microphone", "gone"))
    assert wire.MediaState(call_id="c1", audio=False, video=True, steady=True) in sent(effects)
    bed, effects = played(CancelPressed(), bed=bed)
    assert wire.Hangup(call_id="c1") in sent(effects)
    bed, _ = played(CancelHeld(), bed=bed)
    assert states(bed) == (request_events.State.ANSWERED, call_events.State.IDLE)


def test_a_path_lost_for_good_leaves_an_unsent_request() -> None:
    bed, effects = played(*TALKING, STALL, *[TimedOut("c1", Timer.REBUILD, NOW)] * 2)
    assert states(bed) == (request_events.State.UNSENT, call_events.State.IDLE)
    assert isinstance(sent(effects)[0], wire.CallFailed)


# -- how good the connection is


def test_in_a_talk_each_end_learns_what_the_other_measures() -> None:
    here = wire.Quality(call_id="c1", quality=wire.QualityLevel.POOR, loss_in=0.05)
    there = wire.Quality(call_id="c1", quality=wire.QualityLevel.GOOD, rtt_ms=120)
    assert played(*TALKING, Measured(here))[1] == [Send(here)]
    assert played(*TALKING, Received(there))[1] == [SeatMeasured(there)]


@pytest.mark.parametrize(("before", "call_id"), [(RINGING, "c1"), (TALKING, "an older call")])
def test_figures_of_no_talk_are_nobodys_business(before: tuple[Event, ...], call_id: str) -> None:
    measured = wire.Quality(call_id=call_id, quality=wire.QualityLevel.GOOD)
    assert played(*before, Measured(measured))[1] == []
    assert played(*before, Received(measured))[1] == []
