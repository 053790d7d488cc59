"""Several seats in the bed's one talk: each comes without a ring, is a call of its own, and goes alone."""

from __future__ import annotations

import itertools

import pytest

from kiosk.bedside import call_events, media_effects, request_events, request_state
from kiosk.bedside.bed import Bed
from kiosk.bedside.bed_events import (
    AttendPressed,
    CancelHeld,
    CancelPressed,
    DeviceChanged,
    Effect,
    Event,
    KickedOut,
    LinkDown,
    LinkUp,
    Measured,
    PicturesShed,
    Received,
    SeatMeasured,
    Send,
)
from kiosk.bedside.call_events import MediaDown, MediaStalled, MediaUp, Offered, Spoken, TimedOut
from kiosk.bedside.media_effects import CloseMedia, ForMedia, OpenGate, OpenMedia, RebuildMedia, StartRing, Timer
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, CloseReason, EndReason, ErrorCode
from tests.unit.test_bed import EVERYTHING, NOW, TALKING, kept, new_bed, played, sent


def joins(number: int, *, request_id: str = "r1") -> Event:
    return Received(
        wire.Allocated(
            request_id=request_id, call_id=f"c{number}", fence=number + 6, seat=f"nurse-{number}", joins=True
        )
    )


def accepted(number: int) -> Event:
    return Received(wire.Accepted(call_id=f"c{number}", call_type=CallType.VIDEO))


def ended(number: int, reason: EndReason = EndReason.HANGUP) -> Event:
    return Received(wire.CallEnded(call_id=f"c{number}", reason=reason))


def comes(number: int) -> list[Event]:
    return [joins(number), Offered(f"c{number}", "offer"), accepted(number), MediaUp(f"c{number}", NOW)]


RINGING: list[Event] = [*TALKING, joins(2), Offered("c2", "offer")]
CONNECTING: list[Event] = [*RINGING, accepted(2)]
TWO: list[Event] = [*TALKING, *comes(2)]
FOUR: list[Event] = [*TWO, *comes(3), *comes(4)]
PATHS = {"ringing": RINGING, "connecting": CONNECTING, "two": TWO, "four": FOUR}


def states(bed: Bed) -> dict[str, str]:
    return {call_id: call.state.value for call_id, call in bed.calls.items()}


def media(effects: list[Effect]) -> list[ForMedia]:
    return [effect for effect in effects if isinstance(effect, ForMedia)]


def talking_with(bed: Bed) -> list[str]:
    return [talk.call_id for talk in bed.request.talks]


@pytest.mark.parametrize(("path", "event"), list(itertools.product(PATHS, EVERYTHING)))
def test_everything_may_happen_in_a_group_talk(path: str, event: Event) -> None:
    bed, _ = played(*PATHS[path], event)
    accepted_ = [on for on in bed.calls.values() if on.begun or on.state is call_events.State.CONNECTING]
    assert (bed.request.state is request_events.State.TALKING) == bool(accepted_)
    assert sorted(talking_with(bed)) == sorted(on.call_id for on in accepted_)
    through = sorted(on.call_id for on in bed.calls.values() if on.state is call_events.State.CONNECTED)
    assert sorted(talk.call_id for talk in bed.request.talks if talk.through) == through


def test_a_seat_that_joins_is_invited_without_a_ring() -> None:
    bed, effects = played(*TALKING, joins(2))
    assert OpenMedia("c2", CallType.VIDEO) in effects
    assert not any(isinstance(effect, StartRing | request_events.Show) for effect in effects)
    _, effects = played(Offered("c2", "offer"), bed=bed)
    assert sent(effects) == [wire.Invite(call_id="c2", fence=8, call_type=CallType.VIDEO, sdp="offer")]
    assert states(bed) == {"c1": "connected", "c2": "calling"}


def test_nothing_leaves_to_a_seat_that_has_not_accepted() -> None:
    for length in range(len(TALKING), len(RINGING) + 1):
        _, effects = played(*RINGING[:length])
        assert not any(isinstance(effect, OpenGate) and effect.call_id == "c2" for effect in effects)
    _, effects = played(*CONNECTING)
    assert OpenGate("c2", CallType.VIDEO) in effects


def test_a_seat_that_joins_gets_no_more_than_the_talk_has() -> None:
    as_audio = Received(wire.SwitchToAudio(call_id="c1"))
    _, effects = played(*TALKING, as_audio, joins(2))
    assert OpenMedia("c2", CallType.AUDIO) in effects, "the camera was let go, and is not opened unasked"
    _, effects = played(*TWO, as_audio, joins(3))
    assert OpenMedia("c3", CallType.VIDEO) in effects, "one of the seats still sees the patient"


def test_the_seat_that_joins_is_told_what_it_gets_and_the_desk_of_both_talks() -> None:
    bed, effects = played(*TWO)
    request, state = sent(effects)
    assert isinstance(request, wire.Request)
    assert request.request.others == (wire.Talk(call_id="c2", seat="nurse-2", fence=8),)
    assert state == wire.MediaState(call_id="c2", audio=True, video=True, steady=True)
    assert bed.snapshot(now=NOW).request == request.request
    assert request_state.view(bed.request).seats == 2


def test_a_fifth_seat_is_refused() -> None:
    bed, effects = played(*FOUR, joins(5))
    assert sent(effects) == [wire.LineBusy(call_id="c5")]
    assert set(bed.calls) == {"c1", "c2", "c3", "c4"}
    _, effects = played(ended(2), joins(5), bed=bed)
    assert OpenMedia("c5", CallType.VIDEO) in effects, "one has gone"


@pytest.mark.parametrize("before", [[LinkUp(12.0)], TALKING[:4], TALKING[:-1]])
def test_nobody_joins_what_is_no_talk(before: list[Event]) -> None:
    """Idle, ringing, and accepted but not connected."""
    (answer,) = sent(played(*before, joins(2, request_id="" if len(before) == 1 else "r1"))[1])
    assert answer in (wire.LineBusy(call_id="c2"), wire.Cancel(call_id="c2"))


def test_a_seat_joins_a_talk_that_is_just_being_connected_again() -> None:
    _, effects = played(*TALKING, MediaStalled("c1", "nothing comes", NOW), joins(2))
    assert OpenMedia("c2", CallType.VIDEO) in effects


def test_a_seat_joins_one_that_has_accepted_and_is_alone_by_now() -> None:
    _, effects = played(
        *TALKING, Received(wire.SwitchToAudio(call_id="c1")), joins(2), accepted(2), ended(1), joins(3)
    )
    assert OpenMedia("c3", CallType.AUDIO) in effects


def test_an_allocation_told_twice_does_nothing_more() -> None:
    bed, effects = played(*RINGING, joins(2))
    assert (sent(effects), media(effects)) == ([], [])
    assert states(bed) == {"c1": "connected", "c2": "calling"}


def test_an_allocation_that_does_not_join_is_answered_line_busy() -> None:
    again = wire.Allocated(request_id="r1", call_id="c9", fence=20, seat="nurse-9")
    assert sent(played(*TWO, Received(again))[1]) == [wire.LineBusy(call_id="c9")]


@pytest.mark.parametrize("reason", [EndReason.REJECTED, EndReason.NO_RESPONSE, EndReason.SEAT_LOST])
def test_a_seat_that_does_not_come_leaves_the_talk_as_it_is(reason: EndReason) -> None:
    before, _ = played(*TALKING)
    bed, effects = played(*RINGING, ended(2, reason))
    assert bed.request == before.request
    assert media(effects) == [media_effects.StopTimer("c2"), CloseMedia("c2")]
    assert sent(effects) == []


@pytest.mark.parametrize("went", ["c1", "c2"])
@pytest.mark.parametrize("reason", [EndReason.HANGUP, EndReason.SEAT_LOST])
def test_whoever_goes_the_others_stay(went: str, reason: EndReason) -> None:
    bed, effects = played(*TWO, Received(wire.CallEnded(call_id=went, reason=reason)))
    stayed = "c2" if went == "c1" else "c1"
    assert states(bed) == {stayed: "connected"}
    assert [effect.call_id for effect in media(effects)] == [went, went]
    assert bed.request.state is request_events.State.TALKING
    bed, _ = played(Received(wire.CallEnded(call_id=stayed, reason=EndReason.HANGUP)), bed=bed)
    assert bed.request.state is request_events.State.ANSWERED


def test_a_media_failure_with_one_seat_is_told_and_the_talk_goes_on() -> None:
    bed, effects = played(*TWO, Spoken("c1"), MediaDown("c1", "the path is lost", NOW))
    failed, request = sent(effects)
    assert failed == wire.CallFailed(call_id="c1", why="the path is lost", spoken=True)
    assert isinstance(request, wire.Request)
    assert (request.request.phase, request.request.spoken) == (wire.Phase.TALKING, True)
    bed, _ = played(MediaDown("c2", "the path is lost", NOW), bed=bed)
    assert bed.request.state is request_events.State.UNSENT, "nobody may think that this was finished"


def test_a_dead_path_to_one_seat_is_rebuilt_and_the_other_is_heard_meanwhile() -> None:
    bed, effects = played(*TWO, Received(wire.MediaStalled(call_id="c2")))
    assert RebuildMedia("c2", 1, CallType.VIDEO) in effects
    assert all(effect.call_id == "c2" for effect in media(effects))
    assert request_state.view(bed.request).prompt == "talking"
    bed, _ = played(MediaUp("c2", NOW, 1), bed=bed)
    assert request_state.view(bed.request).prompt == "talking_with_several"


def test_a_seat_that_accepts_and_cannot_be_connected_goes_alone() -> None:
    bed, effects = played(*CONNECTING, TimedOut("c2", Timer.CONNECT, NOW))
    assert isinstance(sent(effects)[0], wire.CallFailed)
    assert (states(bed), talking_with(bed)) == ({"c1": "connected"}, ["c1"])


def test_when_the_first_seat_goes_while_another_connects_the_talk_is_not_over() -> None:
    bed, _ = played(*CONNECTING, ended(1))
    assert request_state.view(bed.request).prompt == "interrupted", "nobody hears the patient at this moment"
    there, _ = played(*CONNECTING, ended(1), MediaUp("c2", NOW))
    assert request_state.view(there.request).prompt == "talking"
    bed, _ = played(TimedOut("c2", Timer.CONNECT, NOW), bed=bed)
    assert bed.request.state is request_events.State.UNSENT


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("control", [CancelPressed(), CancelHeld()])
def test_a_hang_up_at_the_bed_ends_all_of_it(path: str, control: Event) -> None:
    before, _ = played(*PATHS[path])
    bed, effects = played(*PATHS[path], control)
    assert (bed.calls, bed.request.state) == ({}, request_events.State.ANSWERED)
    hung_up = [message.call_id for message in sent(effects) if isinstance(message, wire.Hangup)]
    assert hung_up == list(before.calls), "whoever accepts in this very moment is hung up, too"
    closed = [effect.call_id for effect in effects if isinstance(effect, CloseMedia)]
    assert closed == list(before.calls)


@pytest.mark.parametrize("path", PATHS)
def test_attendance_ends_all_calls_and_closes_the_request(path: str) -> None:
    bed, effects = played(*PATHS[path], AttendPressed())
    assert (bed.calls, bed.request.state) == ({}, request_events.State.IDLE)
    assert sent(effects)[-1] == wire.CloseRequest(request_id="r1", reason=CloseReason.ATTENDED)


def test_a_lost_desk_ends_only_what_rings_or_connects() -> None:
    bed, _ = played(*TWO, joins(3), Offered("c3", "offer"), joins(4), accepted(4), LinkDown())
    assert states(bed) == {"c1": "connected", "c2": "connected"}
    assert talking_with(bed) == ["c1", "c2"]
    assert played(*TWO, KickedOut())[0].calls == {}


def test_a_call_the_desk_no_longer_knows_ends_and_the_others_do_not() -> None:
    stale = wire.Fault(code=ErrorCode.STALE_CALL, message="", call_id="c2")
    assert states(played(*TWO, Received(stale))[0]) == {"c1": "connected"}


def test_every_seat_is_told_of_a_device_and_only_one_of_its_own_path() -> None:
    bed, effects = played(*TWO, joins(3), DeviceChanged("microphone", "unplugged"))
    told = [message for message in sent(effects) if isinstance(message, wire.MediaState)]
    assert [(state.call_id, state.audio) for state in told] == [("c1", False), ("c2", False)]
    _, effects = played(PicturesShed("c2", shed=True), bed=bed)
    assert sent(effects) == [wire.MediaState(call_id="c2", audio=False, video=False, steady=True)]
    _, effects = played(DeviceChanged("microphone"), bed=bed)
    told = [message for message in sent(effects) if isinstance(message, wire.MediaState)]
    assert [(state.call_id, state.video) for state in told] == [("c1", True), ("c2", False)]
    _, effects = played(ended(2), joins(2), accepted(2), MediaUp("c2", NOW), bed=bed)
    assert sent(effects)[-1] == wire.MediaState(call_id="c2", audio=True, video=True, steady=True)


def test_figures_are_those_of_each_talk() -> None:
    bed, _ = played(*TWO)
    for call_id in ("c1", "c2"):
        measured = wire.Quality(call_id=call_id, quality=wire.QualityLevel.POOR)
        assert played(Measured(measured), bed=bed)[1] == [Send(measured)]
        assert played(Received(measured), bed=bed)[1] == [SeatMeasured(measured)]


def test_that_people_have_spoken_with_any_of_them_survives_a_power_cut() -> None:
    _, effects = played(*TWO, Spoken("c2"))
    (on_disk,) = kept(effects)
    assert on_disk.request is not None
    assert on_disk.request.spoken
    _, effects = played(*TWO, Spoken("c2"), ended(2))
    assert kept(effects) == [], "it is known already"


def test_a_seat_that_called_the_bed_may_ask_another_in() -> None:
    calls = wire.SeatCalls(
        request_id="s1", call_id="c1", fence=7, seat="nurse-1", call_type=CallType.AUDIO, ring_timeout_ms=9
    )
    called: list[Event] = [
        LinkUp(12.0),
        Received(calls),
        CancelPressed(),
        Received(calls),
        TALKING[1],
        Offered("c1", "offer"),
        accepted(1),
        MediaUp("c1", NOW),
    ]
    bed, effects = played(*called, joins(2, request_id="s1"), bed=new_bed())
    assert OpenMedia("c2", CallType.AUDIO) in effects, "the patient has answered a call without pictures"
    bed, _ = played(Offered("c2", "offer"), accepted(2), MediaUp("c2", NOW), ended(1), bed=bed)
    assert bed.request.state is request_events.State.TALKING
    bed, _ = played(ended(2), bed=bed)
    assert (bed.request.state, bed.calls) == (request_events.State.IDLE, {})


def test_a_seat_cannot_call_a_bed_that_talks() -> None:
    calls = wire.SeatCalls(
        request_id="r1", call_id="c9", fence=20, seat="nurse-9", call_type=CallType.AUDIO, ring_timeout_ms=9
    )
    assert sent(played(*TWO, Received(calls))[1]) == [wire.LineBusy(call_id="c9")]
