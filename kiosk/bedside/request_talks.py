"""The part of the request's machine in which seats talk with the patient: they come, are interrupted, and go.

Pure; the theory is that of ``request.py`` (rule 10).
"""

from __future__ import annotations

from dataclasses import replace

from kiosk.bedside.request_events import (
    CallBroke,
    CallConnected,
    CallEnded,
    CallInterrupted,
    CallRestored,
    Event,
    SeatJoins,
    SendRequest,
    State,
)
from kiosk.bedside.request_state import RequestState, Step, Talk, added, forgotten
from kiosk.signaling.messages import Origin


def connected(before: RequestState, after: RequestState, event: Event) -> Step:
    assert isinstance(event, CallConnected)
    press = before.answered_by
    if before.state is State.ANSWERING and press is not None and press.origin is not Origin.CALL_BUTTON:
        after = added(after, press)
    talk = Talk(event.call_id, event.seat, event.fence, through=True)
    after = replace(after, talks=(*_without(before, event.call_id), talk), alarm=False)
    return after, [SendRequest()] if after.is_open else []


def joins(before: RequestState, after: RequestState, event: Event) -> Step:
    assert isinstance(event, SeatJoins)
    talk = Talk(event.call_id, event.seat, event.fence, through=False)
    return replace(after, talks=(*_without(before, event.call_id), talk)), []


def interrupted(before: RequestState, after: RequestState, event: Event) -> Step:
    assert isinstance(event, CallInterrupted | CallRestored)
    through = isinstance(event, CallRestored)
    changed = [replace(talk, through=through) if talk.call_id == event.call_id else talk for talk in before.talks]
    return replace(after, talks=tuple(changed)), []


def over(before: RequestState, after: RequestState, event: Event) -> Step:
    assert isinstance(event, CallEnded | CallBroke)
    staying = _without(before, event.call_id)
    if staying == before.talks:  # a seat that was asked, and has not come
        return before, []
    if not staying and not before.is_open:
        return forgotten(after), []
    after = replace(after, talks=staying, spoken=before.spoken or event.spoken)
    after = replace(after, state=State.TALKING) if staying else replace(after, answered_by=None)
    return after, [SendRequest()] if after.is_open else []


def _without(request: RequestState, call_id: str) -> tuple[Talk, ...]:
    return tuple(talk for talk in request.talks if talk.call_id != call_id)
