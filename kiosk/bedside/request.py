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

The table (``TRANSITIONS``) has a row for each state and a column for each event; an event a row does not name
leaves the state where it is and yields :class:`Ignored`, which the shell logs.

Effects are values; the shell performs them in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kiosk.bedside.request_events import (
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
    LampSign,
    Link,
    LinkChanged,
    LocalAlarmed,
    Press,
    Reassure,
    Restored,
    SeatRings,
    SeatStopped,
    SendClose,
    SendRequest,
    Show,
    State,
    StopCall,
    Taken,
    View,
)
from kiosk.signaling.messages import CallType, ClosedRequest, CloseReason, OpenRequest, Phase, Priority

MAX_UNCONFIRMED_CLOSES = 32
"""How many closes are kept for a desk that cannot be reached (the wire's own limit); the oldest goes first."""


@dataclass(frozen=True)
class Rules:
    """What the facility sets."""

    call_type: CallType = CallType.VIDEO
    seat: str | None = None
    priority: Priority = Priority.NORMAL
    urgent_after_presses: int = 3


@dataclass(frozen=True)
class RequestState:
    """The whole truth of the bed about its request. ``opened_at`` is monotonic seconds."""

    rules: Rules = Rules()
    state: State = State.IDLE
    link: Link = Link.DOWN
    request_id: str = ""
    opened_at: float = 0.0
    presses: int = 0
    place: int = 0
    spoken: bool = False
    call_id: str | None = None
    call_seat: str | None = None
    fence: int = 0
    interrupted: bool = False
    """In a talk: nothing comes through at the moment."""
    closed: tuple[ClosedRequest, ...] = ()
    button_stuck: bool = False
    asked_at: float = 0.0
    """When the press came that asked again after an answer, if one did."""
    alarm: bool = False
    """Nobody has answered for too long; the desk said so, and only the desk, an answer or a close ends it."""

    @property
    def priority(self) -> Priority:
        """Raised to urgent by repeated presses, never lowered."""
        limit = self.rules.urgent_after_presses
        raised = Priority.URGENT if limit and self.presses >= limit else Priority.NORMAL
        return max(self.rules.priority, raised)


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
        ButtonChanged: State.ANSWERED,
    },
}
"""``Taken`` leads on from SENT to QUEUED or DEFERRED by what it says; see ``_taken``. ``Held`` and ``Restored``
lead on to ANSWERED for a request that was answered, ``Restored`` back to IDLE when there is none.
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


def view(request: RequestState) -> View:
    """Lamp and words for *request*; the only place that decides what the patient is told."""
    state, link = request.state, request.link
    if state is State.IDLE:
        if request.button_stuck:
            return View(LampSign.OFF, "button_stuck")
        idle_prompts = {Link.UP: "ready", Link.DOWN: "no_link", Link.REFUSED: "not_registered"}
        return View(LampSign.OFF, idle_prompts[link])
    if state is State.UNSENT:
        heard = "alarm" if request.alarm else "heard"
        return View(LampSign.HEARD, heard if link is Link.UP else "use_other_bell")
    if state is State.TALKING and request.interrupted:
        return View(LampSign.WAITING, "interrupted")
    if state is State.TALKING:
        return View(LampSign.TALKING, "talking")
    if request.alarm:
        return View(LampSign.WAITING, "alarm")
    return View(LampSign.WAITING, state.value, request.place if state is State.QUEUED else 0)


def open_request(request: RequestState, *, now: float) -> OpenRequest | None:
    """The request as the wire tells it at *now* (monotonic seconds), or None when there is none."""
    if request.state is State.IDLE:
        return None
    phase = {State.TALKING: Phase.TALKING, State.ANSWERED: Phase.ANSWERED}.get(request.state, Phase.WAITING)
    return OpenRequest(
        request_id=request.request_id,
        age=max(0, round((now - request.opened_at) * 1000)),
        presses=request.presses,
        priority=request.priority,
        call_type=request.rules.call_type,
        seat=request.rules.seat,
        phase=phase,
        call_id=request.call_id,
        call_seat=request.call_seat,
        fence=request.fence,
        spoken=request.spoken,
        waited=max(0, round((now - request.asked_at) * 1000)) if request.asked_at > request.opened_at else None,
    )


def _is_foreign(request: RequestState, event: Event) -> bool:
    """Word from the desk about another request than the open one."""
    return isinstance(event, Taken | ClosedAtDesk | LocalAlarmed) and event.request_id != request.request_id


def _confirm_close(request: RequestState, event: Event) -> tuple[RequestState, list[Effect]]:
    if not isinstance(event, ClosedAtDesk):
        return request, []
    left = tuple(closed for closed in request.closed if closed.request_id != event.request_id)
    return (request, []) if left == request.closed else (replace(request, closed=left), [])


_Step = tuple[RequestState, list[Effect]]


def _press(before: RequestState, after: RequestState, event: Event) -> _Step:
    assert isinstance(event, Press)
    if before.state is State.IDLE:
        after = replace(after, request_id=event.request_id, opened_at=event.at, presses=1, spoken=False, place=0)
    else:
        after = replace(after, presses=before.presses + 1)
    if before.state is State.ANSWERED:
        after = replace(after, asked_at=event.at)
    return after, [SendRequest()]


def _close(before: RequestState, after: RequestState, event: Event) -> _Step:
    reason = CloseReason.CANCELLED if isinstance(event, Cancel) else CloseReason.ATTENDED
    closed = (*before.closed, ClosedRequest(request_id=before.request_id, reason=reason))
    after = _forgotten(replace(after, closed=closed[-MAX_UNCONFIRMED_CLOSES:]))
    return after, [StopCall(), SendClose(before.request_id, reason)]


def _closed_at_desk(before: RequestState, after: RequestState, event: Event) -> _Step:
    return _forgotten(after), [StopCall()]


def _link_changed(before: RequestState, after: RequestState, event: Event) -> _Step:
    assert isinstance(event, LinkChanged)
    return replace(after, link=event.link), []


def _taken(before: RequestState, after: RequestState, event: Event) -> _Step:
    assert isinstance(event, Taken)
    after = replace(after, place=event.place)
    if after.state is State.SENT and event.retry_later:
        after = replace(after, state=State.DEFERRED)
    elif after.state is State.SENT and event.place:
        after = replace(after, state=State.QUEUED)
    return after, []


def _held(before: RequestState, after: RequestState, event: Event) -> _Step:
    assert isinstance(event, Held)
    return _reopened(after, event.request, event.at), [SendRequest()]


def _restored(before: RequestState, after: RequestState, event: Event) -> _Step:
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
        spoken=told.spoken,
    )


def _rings(before: RequestState, after: RequestState, event: Event) -> _Step:
    return replace(after, place=0), []


def _connected(before: RequestState, after: RequestState, event: Event) -> _Step:
    assert isinstance(event, CallConnected)
    after = replace(after, call_id=event.call_id, call_seat=event.seat, fence=event.fence, alarm=False)
    return after, [SendRequest()]


def _local_alarmed(before: RequestState, after: RequestState, event: Event) -> _Step:
    assert isinstance(event, LocalAlarmed)
    return replace(after, alarm=event.on), []


def _interrupted(before: RequestState, after: RequestState, event: Event) -> _Step:
    return replace(after, interrupted=isinstance(event, CallInterrupted)), []


def _call_over(before: RequestState, after: RequestState, event: Event) -> _Step:
    assert isinstance(event, CallEnded | CallBroke)
    spoken = before.spoken or event.spoken
    over = replace(after, spoken=spoken, call_id=None, call_seat=None, fence=0, interrupted=False)
    return over, [SendRequest()]


def _button_changed(before: RequestState, after: RequestState, event: Event) -> _Step:
    assert isinstance(event, ButtonChanged)
    return replace(after, button_stuck=event.stuck), []


def _unchanged(before: RequestState, after: RequestState, event: Event) -> _Step:
    return after, []


_HANDLERS: dict[type[Event], Callable[[RequestState, RequestState, Event], _Step]] = {
    Press: _press,
    Cancel: _close,
    Attend: _close,
    LinkChanged: _link_changed,
    Taken: _taken,
    ClosedAtDesk: _closed_at_desk,
    Held: _held,
    Restored: _restored,
    LocalAlarmed: _local_alarmed,
    SeatRings: _rings,
    SeatStopped: _unchanged,
    CallConnected: _connected,
    CallInterrupted: _interrupted,
    CallRestored: _interrupted,
    CallEnded: _call_over,
    CallBroke: _call_over,
    ButtonChanged: _button_changed,
}


def _forgotten(request: RequestState) -> RequestState:
    return RequestState(
        rules=request.rules, link=request.link, closed=request.closed, button_stuck=request.button_stuck
    )
