"""The patient's request: what is wished, what is true of it, and what may be shown of it.

Pure: time is an argument (monotonic seconds), ids come in with the press.

Theory of operation
===================

A request is opened by a press and lives until somebody attends at the bed, the patient cancels it with the
separate control, or (where the facility allows it) a seat closes it after real speech. A hang-up, a failed call,
a time-out or a lost link never closes it: they only move it between the states in which it is open.

Rule 1. The first press always works, and no press ever closes anything: presses merge, reassure and may raise
the priority. A press after a conversation asks again, for the same request.

Rule 2. The bed never claims more than is known. ``SENT``, ``QUEUED``, ``DEFERRED`` and ``RINGING`` are
entered only on the desk's word and are left for ``UNSENT`` as soon as the link is lost. ``TALKING`` outlives
the link, since media go directly; ``ANSWERED`` outlives it, since what the nurse knows, she knows.

Rule 3. A request that the desk gives back (we forgot it in a power cut) is asserted anew: meanwhile the desk may
have let it go for a newer one.

Rule 4. A bed that starts goes on where its journal ends. What the desk still has of it is not known: only an
answered request stays answered, any other is unsent. An alarm goes on until the desk says otherwise.

Rule 5. When nobody has answered for too long, the desk says so, and then the bed does: "use the other bell". A lost
link does not end this; an answer does.

Rule 6. What lamp and words show is a function of the state (:func:`view`), so it cannot differ from it.

Rule 7. Nobody is asked to press a button that is stuck: such a bed with no request open names the other bell.

Rule 8. A seat may call (``CALLED``): nobody here has asked, so it is no request, is not kept, and is over with its
call. The patient answers by pressing. Until people are connected that press is one like any other: it is kept, and
becomes a request when the call comes to nothing. A press in such a talk asks for help, and the talk becomes its
call; within ``MERGE_S`` of the answer it is a hand that trembles. A seat that calls about an answered request
changes nothing of it.

Rule 9. What the bathroom's cord or the staff's button have asked for is closed by attendance only, and pulling the
cord while a seat calls answers it, and asks.

Rule 10. Several seats may be in the talk; they are equals, and each comes and goes. It is a talk until the last of
them has gone, and how that one went decides: hung up by a person, the request is answered; by a fault, it waits
again. The patient is told how many are there.

The table (``TRANSITIONS``) has a row for each state and a column for each event; an event a row does not name
leaves the state where it is and yields :class:`Ignored`, which the shell logs.

Effects are values; the shell performs them in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kiosk.bedside import request_talks
from kiosk.bedside.request_events import (
    AnswerCall,
    Attend,
    ButtonChanged,
    CallBroke,
    CallConnected,
    CallEnded,
    CallInterrupted,
    CallRestored,
    Cancel,
    ClosedAtDesk,
    Effect,
    Event,
    Held,
    Ignored,
    LinkChanged,
    LocalAlarmed,
    Press,
    Reassure,
    Restored,
    SeatCalls,
    SeatJoins,
    SeatRings,
    SeatStopped,
    SendClose,
    SendRequest,
    Show,
    State,
    StopCall,
    Taken,
    Unheard,
)
from kiosk.bedside.request_state import (
    MAX_UNCONFIRMED_CLOSES,
    PRIORITIES,
    URGENCY,
    RequestState,
    Step,
    added,
    asked,
    forgotten,
    view,
)
from kiosk.signaling.messages import ClosedRequest, CloseReason, OpenRequest, Origin, Phase

MERGE_S = 2.0
"""Presses so soon after the one that answered a seat are part of it."""

_TO_IDLE = {Attend: State.IDLE, ClosedAtDesk: State.IDLE}
_WAITING: dict[type[Event], State] = {
    **_TO_IDLE,
    Cancel: State.IDLE,
    LinkChanged: State.UNSENT,
    Taken: State.SENT,
    SeatRings: State.RINGING,
    CallConnected: State.TALKING,
}

TRANSITIONS: dict[State, dict[type[Event], State]] = {
    State.IDLE: {
        Press: State.UNSENT,
        LinkChanged: State.IDLE,
        Held: State.UNSENT,
        Restored: State.UNSENT,
        SeatCalls: State.CALLED,
        ButtonChanged: State.IDLE,
    },
    State.UNSENT: {**_WAITING, Press: State.UNSENT, ButtonChanged: State.UNSENT, LocalAlarmed: State.UNSENT},
    State.SENT: {**_WAITING, Press: State.SENT, ButtonChanged: State.SENT, LocalAlarmed: State.SENT},
    State.QUEUED: {**_WAITING, Press: State.QUEUED, ButtonChanged: State.QUEUED, LocalAlarmed: State.QUEUED},
    State.DEFERRED: {
        **_WAITING,
        Press: State.UNSENT,
        ButtonChanged: State.DEFERRED,
        LocalAlarmed: State.DEFERRED,
    },
    State.RINGING: {
        **_WAITING,
        Press: State.RINGING,
        Taken: State.RINGING,
        SeatStopped: State.SENT,
        ButtonChanged: State.RINGING,
        LocalAlarmed: State.RINGING,
    },
    State.TALKING: {
        **_TO_IDLE,
        Press: State.TALKING,
        LinkChanged: State.TALKING,
        Taken: State.TALKING,
        CallConnected: State.TALKING,
        SeatJoins: State.TALKING,
        CallInterrupted: State.TALKING,
        CallRestored: State.TALKING,
        CallEnded: State.ANSWERED,
        CallBroke: State.UNSENT,
        ButtonChanged: State.TALKING,
    },
    State.ANSWERED: {
        **_TO_IDLE,
        Press: State.UNSENT,
        Cancel: State.IDLE,
        LinkChanged: State.ANSWERED,
        Taken: State.ANSWERED,
        SeatCalls: State.CALLED,
        ButtonChanged: State.ANSWERED,
    },
    State.CALLED: {
        **_TO_IDLE,
        Press: State.ANSWERING,
        Cancel: State.ANSWERED,
        LinkChanged: State.CALLED,
        Taken: State.CALLED,
        Unheard: State.CALLED,
        SeatStopped: State.ANSWERED,
        CallConnected: State.TALKING,
        ButtonChanged: State.CALLED,
    },
    State.ANSWERING: {
        **_TO_IDLE,
        Press: State.ANSWERING,
        Cancel: State.ANSWERED,
        LinkChanged: State.ANSWERING,
        Taken: State.ANSWERING,
        SeatStopped: State.UNSENT,
        CallConnected: State.TALKING,
        ButtonChanged: State.ANSWERING,
    },
}
"""``Taken`` leads on from SENT to QUEUED or DEFERRED by what it says; see ``_taken``. ``Held`` and ``Restored``
lead on to ANSWERED for a request that was answered, ``Restored`` back to IDLE when there is none. What leads to
ANSWERED, and from a talk to UNSENT, leads to IDLE when nobody here has asked; a talk goes on while a seat is in it.
"""


def step(before: RequestState, event: Event) -> tuple[RequestState, list[Effect]]:
    """Apply *event*; return the new state and the effects to perform, in order."""
    target = TRANSITIONS[before.state].get(type(event))
    if target is None or _is_foreign(before, event):
        after, effects = _confirm_close(before, event)
        return after, [*effects, Ignored(event, before.state)] if after is before else effects
    after, effects = _HANDLERS[type(event)](before, replace(before, state=target), event)
    shown = view(after)
    if shown != view(before):
        effects.append(Show(shown))
    elif isinstance(event, Press):
        effects.append(Reassure(shown))
    return after, effects


def _is_foreign(request: RequestState, event: Event) -> bool:
    """Word from the desk about another request than the open one."""
    return isinstance(event, Taken | ClosedAtDesk | LocalAlarmed) and event.request_id != request.request_id


def _confirm_close(request: RequestState, event: Event) -> tuple[RequestState, list[Effect]]:
    if not isinstance(event, ClosedAtDesk):
        return request, []
    left = tuple(closed for closed in request.closed if closed.request_id != event.request_id)
    return (request, []) if left == request.closed else (replace(request, closed=left), [])


def _press(before: RequestState, after: RequestState, event: Event) -> Step:
    assert isinstance(event, Press)
    if before.state is State.CALLED:
        return replace(after, answered_by=event), [AnswerCall()]
    if before.state is State.ANSWERING:
        assert before.answered_by is not None, "a press led here"
        urgent = max(before.answered_by, event, key=lambda press: URGENCY[press.origin])
        return replace(after, answered_by=replace(before.answered_by, origin=urgent.origin)), []
    if before.state is State.TALKING and _trembles(before, event):
        return after, []
    if before.state is State.ANSWERED:
        after = replace(after, asked_at=event.at)
    return added(after, event), [SendRequest()]


def _trembles(request: RequestState, press: Press) -> bool:
    answered = request.answered_by
    return answered is not None and press.origin is Origin.CALL_BUTTON and press.at - answered.at < MERGE_S


def _seat_calls(before: RequestState, after: RequestState, event: Event) -> Step:
    assert isinstance(event, SeatCalls)
    called = replace(after, by_itself=event.by_itself, answered_by=None)
    if before.state is State.ANSWERED:
        return called, []
    return replace(called, request_id=event.request_id, origin=Origin.SEAT), []


def _unheard(before: RequestState, after: RequestState, event: Event) -> Step:
    return replace(after, by_itself=False), []


def _seat_stopped(before: RequestState, after: RequestState, event: Event) -> Step:
    if before.state is State.ANSWERING:
        return asked(after), [SendRequest()]
    return (after if before.is_open else forgotten(after)), []


def _cancel(before: RequestState, after: RequestState, event: Event) -> Step:
    if before.state in (State.CALLED, State.ANSWERING):
        return (replace(after, answered_by=None) if before.is_open else forgotten(after)), [StopCall()]
    if before.origin in PRIORITIES:
        return before, [Ignored(event, before.state)]
    return _closed(before, after, CloseReason.CANCELLED)


def _attend(before: RequestState, after: RequestState, event: Event) -> Step:
    if not before.is_open:
        return forgotten(after), [StopCall()]
    return _closed(before, after, CloseReason.ATTENDED)


def _closed(before: RequestState, after: RequestState, reason: CloseReason) -> Step:
    closed = (*before.closed, ClosedRequest(request_id=before.request_id, reason=reason))
    after = forgotten(replace(after, closed=closed[-MAX_UNCONFIRMED_CLOSES:]))
    return after, [StopCall(), SendClose(before.request_id, reason)]


def _closed_at_desk(before: RequestState, after: RequestState, event: Event) -> Step:
    return forgotten(after), [StopCall()]


def _link_changed(before: RequestState, after: RequestState, event: Event) -> Step:
    assert isinstance(event, LinkChanged)
    return replace(after, link=event.link), []


def _taken(before: RequestState, after: RequestState, event: Event) -> Step:
    assert isinstance(event, Taken)
    after = replace(after, place=event.place)
    if after.state is State.SENT and event.retry_later:
        after = replace(after, state=State.DEFERRED)
    elif after.state is State.SENT and event.place:
        after = replace(after, state=State.QUEUED)
    return after, []


def _held(before: RequestState, after: RequestState, event: Event) -> Step:
    assert isinstance(event, Held)
    return _reopened(after, event.request, event.at), [SendRequest()]


def _restored(before: RequestState, after: RequestState, event: Event) -> Step:
    assert isinstance(event, Restored)
    after = replace(after, closed=event.closed)
    if event.request is None:
        return replace(after, state=State.IDLE), []
    return replace(_reopened(after, event.request, event.at), alarm=event.alarm), []


def _reopened(request: RequestState, told: OpenRequest, at: float) -> RequestState:
    opened_at = at - told.age / 1000
    return replace(
        request,
        state=State.ANSWERED if told.phase is Phase.ANSWERED else State.UNSENT,
        request_id=told.request_id,
        opened_at=opened_at,
        asked_at=opened_at if told.waited is None else at - told.waited / 1000,
        presses=told.presses,
        origin=told.origin,
        spoken=told.spoken,
    )


def _rings(before: RequestState, after: RequestState, event: Event) -> Step:
    return replace(after, place=0), []


def _local_alarmed(before: RequestState, after: RequestState, event: Event) -> Step:
    assert isinstance(event, LocalAlarmed)
    return replace(after, alarm=event.on), []


def _button_changed(before: RequestState, after: RequestState, event: Event) -> Step:
    assert isinstance(event, ButtonChanged)
    return replace(after, button_stuck=event.stuck), []


_HANDLERS: dict[type[Event], Callable[[RequestState, RequestState, Event], Step]] = {
    Press: _press,
    Cancel: _cancel,
    Attend: _attend,
    LinkChanged: _link_changed,
    Taken: _taken,
    ClosedAtDesk: _closed_at_desk,
    Held: _held,
    Restored: _restored,
    LocalAlarmed: _local_alarmed,
    SeatRings: _rings,
    SeatCalls: _seat_calls,
    Unheard: _unheard,
    SeatStopped: _seat_stopped,
    CallConnected: request_talks.connected,
    SeatJoins: request_talks.joins,
    CallInterrupted: request_talks.interrupted,
    CallRestored: request_talks.interrupted,
    CallEnded: request_talks.over,
    CallBroke: request_talks.over,
    ButtonChanged: _button_changed,
}
