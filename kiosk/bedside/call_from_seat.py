"""The part of the call's machine in which a seat calls the bed: light and ring before anything is opened.

Pure; the theory is that of ``call.py`` (rule 6).
"""

from __future__ import annotations

from dataclasses import replace

from kiosk.bedside.call_events import (
    Effect,
    Event,
    Invited,
    Kind,
    SendRinging,
    State,
)
from kiosk.bedside.call_state import RING_GUARD_S, CallState, Step, emit
from kiosk.bedside.media_effects import (
    OpenMedia,
    StartRing,
    StartTimer,
    StopRing,
    Timer,
)


def invited(before: CallState, after: CallState, event: Event) -> Step:
    assert isinstance(event, Invited)
    rung = CallState(
        state=after.state,
        call_id=event.call_id,
        seat=event.seat,
        fence=event.fence,
        call_type=event.call_type,
        ring_s=event.ring_s,
        answer_s=event.answer_s,
    )
    return rung, [_rings_on(rung), StartRing(event.call_id), SendRinging(event.call_id), emit(rung, Kind.RECEIVED)]


def _rings_on(call: CallState) -> Effect:
    if call.answer_s is not None:
        return StartTimer(call.call_id, Timer.ANSWER, call.answer_s)
    return StartTimer(call.call_id, Timer.RING, call.ring_s + RING_GUARD_S)


def unheard(before: CallState, after: CallState, event: Event) -> Step:
    if before.answer_s is None:
        return after, []
    silent = replace(after, answer_s=None)
    return silent, [_rings_on(silent)]


def accept(before: CallState, after: CallState, event: Event) -> Step:
    accepted = replace(after, state=State.CALLING)
    return accepted, [
        StopRing(after.call_id),
        StartTimer(after.call_id, Timer.RING, after.ring_s + RING_GUARD_S),
        OpenMedia(after.call_id, after.call_type),
    ]
