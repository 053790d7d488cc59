"""A whole bed that a seat calls: lamp, ring and words before anything is captured, and who answers."""

from __future__ import annotations

import pytest

from kiosk.bedside import call_events, media_effects, request_events
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
    LinkDown,
    LinkUp,
    Received,
    Restored,
    Send,
)
from kiosk.bedside.call_events import (
    MediaUp,
    Offered,
    TimedOut,
)
from kiosk.bedside.journal import Kept
from kiosk.bedside.media_effects import (
    Timer,
)
from kiosk.bedside.request_events import LampSign, Show
from kiosk.bedside.request_state import Rules, view
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, EndReason, Origin, Phase
from tests.unit.one_call import the_call

pytestmark = pytest.mark.promise("R06")

NOW = 100.0
SEAT_CALLS = wire.SeatCalls(
    request_id="seat-1",
    call_id="c1",
    fence=7,
    seat="nurse-1",
    call_type=CallType.VIDEO,
    ring_timeout_ms=20_000,
)
CALLED: list[Event] = [LinkUp(20.0), Received(SEAT_CALLS)]
PRESS = CallPressed(NOW, "r1")
TALK: list[Event] = [
    *CALLED,
    PRESS,
    Offered("c1", "offer"),
    MediaUp("c1", NOW),
    Received(wire.Accepted(call_id="c1", call_type=CallType.VIDEO)),
]
FAILED = Received(wire.CallEnded(call_id="c1", reason=EndReason.SEAT_LOST))


def played(*events: Event, bed: Bed | None = None) -> tuple[Bed, list[Effect]]:
    bed, effects = bed or new_bed(), list[Effect]()
    for event in events:
        effects = bed.handle(event, now=NOW)
    return bed, effects


def new_bed(*, speaker: str = "", **rules: object) -> Bed:
    return Bed(
        rules=Rules(**rules),  # type: ignore[arg-type]  # the tests' own keywords
        info=wire.BedInfo(group="ward"),
        devices=wire.Devices(speaker=speaker),
    )


def sent(effects: list[Effect]) -> list[wire.Message]:
    return [effect.message for effect in effects if isinstance(effect, Send)]


def kinds(effects: list[Effect]) -> list[type[Effect]]:
    return [type(effect) for effect in effects]


def test_lamp_then_ring_then_word_to_the_seat_and_nothing_is_opened() -> None:
    bed, effects = played(*CALLED)
    assert kinds(effects) == [Show, media_effects.StartTimer, media_effects.StartRing, Send, call_events.Emit]
    assert sent(effects) == [wire.Ringing(call_id="c1")]
    assert view(bed.request).lamp is LampSign.CALLED
    assert bed.snapshot(now=NOW).request is None


@pytest.mark.promise("R02")
def test_the_press_that_answers_is_on_the_disk_before_the_bed_invites() -> None:
    _, effects = played(*CALLED, PRESS)
    assert [kind for kind in kinds(effects) if kind in (Keep, media_effects.OpenMedia)] == [
        Keep,
        media_effects.OpenMedia,
    ]
    keep = next(effect for effect in effects if isinstance(effect, Keep))
    assert keep.kept.request is not None
    assert (keep.kept.request.request_id, keep.kept.request.phase) == ("r1", Phase.WAITING)
    bed, effects = played(*TALK)
    assert bed.request.state is request_events.State.TALKING
    assert [effect for effect in effects if isinstance(effect, Keep)] == [Keep(Kept())]


@pytest.mark.promise("R02")
def test_a_bed_that_loses_its_power_while_it_answers_asks() -> None:
    _, effects = played(*CALLED, PRESS)
    kept = next(effect.kept for effect in effects if isinstance(effect, Keep))
    bed, _ = played(Restored(kept), LinkUp(20.0))
    told = bed.snapshot(now=NOW).request
    assert told is not None
    assert (told.request_id, told.phase) == ("r1", Phase.WAITING)


@pytest.mark.promise("R01", "R02")
@pytest.mark.parametrize("over", [FAILED, LinkDown(), TimedOut("c1", Timer.RING, NOW)])
def test_whoever_answers_and_finds_nobody_has_asked(over: Event) -> None:
    bed, effects = played(*CALLED, PRESS, over)
    assert bed.request.state is request_events.State.UNSENT
    assert bed.request.request_id == "r1"
    assert any(isinstance(message, wire.Request) for message in sent(effects))
    assert the_call(bed).state is call_events.State.IDLE


def test_the_cancel_button_declines_at_once_and_holding_on_cancels_nothing() -> None:
    bed, effects = played(*CALLED, CancelPressed())
    assert sent(effects) == [wire.Reject(call_id="c1")]
    assert bed.request.state is request_events.State.IDLE
    asked: list[Event] = [LinkUp(20.0), CallPressed(NOW, "r0"), Received(wire.RequestTaken(request_id="r0"))]
    spoken: list[Event] = [
        Received(wire.Allocated(request_id="r0", call_id="c0", fence=6, seat="nurse-1")),
        MediaUp("c0", NOW),
        Received(wire.Accepted(call_id="c0", call_type=CallType.VIDEO)),
        Received(wire.CallEnded(call_id="c0", reason=EndReason.HANGUP)),
    ]
    again = wire.SeatCalls(
        request_id="r0", call_id="c1", fence=7, seat="nurse-1", call_type=CallType.AUDIO, ring_timeout_ms=1
    )
    bed, effects = played(*asked, *spoken, Received(again), CancelPressed(), CancelHeld())
    assert (bed.request.state, bed.request.request_id) == (request_events.State.ANSWERED, "r0")


def test_who_comes_to_the_bed_while_it_rings_ends_it() -> None:
    bed, effects = played(*CALLED, AttendPressed())
    assert sent(effects) == [wire.Reject(call_id="c1")]
    assert bed.request.state is request_events.State.IDLE
    _, effects = played(*CALLED, PRESS, AttendPressed())
    assert sent(effects) == [wire.Hangup(call_id="c1")]


@pytest.mark.parametrize(
    "before",
    [
        [CallPressed(NOW, "r0")],
        [CallPressed(NOW, "r0"), Received(wire.RequestTaken(request_id="r0"))],
        [Received(SEAT_CALLS)],
    ],
)
def test_the_line_is_busy_for_a_bed_that_waits_or_is_called(before: list[Event]) -> None:
    other = wire.SeatCalls(
        request_id="seat-2", call_id="c2", fence=8, seat="nurse-2", call_type=CallType.AUDIO, ring_timeout_ms=1
    )
    bed, _ = played(LinkUp(20.0), *before)
    was = bed.request
    _, effects = played(Received(other), bed=bed)
    assert sent(effects) == [wire.LineBusy(call_id="c2")]
    assert bed.request == was


def test_no_more_is_shown_than_the_bed_is_set_to() -> None:
    _, effects = played(*CALLED, PRESS, bed=new_bed(call_type=CallType.AUDIO))
    assert media_effects.OpenMedia("c1", CallType.AUDIO) in effects


def test_a_bed_may_answer_by_itself_where_the_facility_allows_it_and_the_ring_is_heard() -> None:
    bed, effects = played(*CALLED, bed=new_bed(answer_s=6.0))
    assert media_effects.StartTimer("c1", Timer.ANSWER, 6.0) in effects
    _, effects = played(TimedOut("c1", Timer.ANSWER, NOW), bed=bed)
    assert media_effects.OpenMedia("c1", CallType.VIDEO) in effects
    assert not any(isinstance(effect, Keep) for effect in effects), "nobody has asked"


def test_a_bed_without_a_speaker_never_answers_by_itself() -> None:
    silent = new_bed(answer_s=6.0, speaker="none")
    assert view(played(*CALLED, bed=silent)[0].request).prompt == "seat_calls"
    bed, effects = played(*CALLED, DeviceChanged("speaker", "unplugged"), bed=new_bed(answer_s=6.0))
    assert view(bed.request).prompt == "seat_calls"
    assert media_effects.StartTimer("c1", Timer.RING, 25.0) in effects
    _, effects = played(TimedOut("c1", Timer.ANSWER, NOW), bed=bed)
    assert not any(isinstance(effect, media_effects.OpenMedia) for effect in effects)


def test_the_cord_is_a_request_of_its_own_kind() -> None:
    _, effects = played(LinkUp(20.0), CallPressed(NOW, "r1", Origin.BATHROOM))
    request = next(message for message in sent(effects) if isinstance(message, wire.Request)).request
    assert (request.origin, request.priority) == (Origin.BATHROOM, wire.Priority.URGENT)
    kept = next(effect.kept for effect in effects if isinstance(effect, Keep))
    assert kept.request is not None
    assert kept.request.origin is Origin.BATHROOM
    again, _ = played(Restored(kept))
    assert again.request.priority is wire.Priority.URGENT


def test_a_stuck_cord_is_told_and_does_not_send_the_patient_to_another_bell() -> None:
    bed, effects = played(LinkUp(20.0), DeviceChanged("bathroom", "stuck"))
    assert sent(effects) == [wire.DeviceState(devices=wire.Devices(bathroom="stuck"))]
    assert view(bed.request).prompt == "ready"


def test_a_seat_whose_ring_ran_out_here_is_told() -> None:
    _, effects = played(*CALLED, TimedOut("c1", Timer.RING, NOW))
    assert Send(wire.Cancel(call_id="c1")) in effects
