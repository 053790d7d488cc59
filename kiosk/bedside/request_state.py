"""The bed's request as a value: what is true of it, what is shown and told of it, and what must be kept of it.

Pure. What may happen to it is in ``request.py``, with the theory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kiosk.bedside.request_events import Effect, LampSign, Link, Press, State, View
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, ClosedRequest, OpenRequest, Origin, Phase, Priority

MAX_UNCONFIRMED_CLOSES = 32
"""How many closes are kept for a desk that cannot be reached (the wire's own limit); the oldest goes first."""
PRIORITIES = {Origin.BATHROOM: Priority.URGENT, Origin.STAFF: Priority.EMERGENCY}
"""What is more than the bed's own priority."""
URGENCY = {origin: PRIORITIES.get(origin, Priority.NORMAL) for origin in Origin}


@dataclass(frozen=True)
class Rules:
    """What the facility sets."""

    call_type: CallType = CallType.VIDEO
    seat: str | None = None
    priority: Priority = Priority.NORMAL
    urgent_after_presses: int = 3
    answer_s: float | None = None
    """A seat calls: None: the patient answers, else the bed answers by itself when it has rung for so long."""


@dataclass(frozen=True)
class Talk:
    """A seat that speaks with the patient. ``through``: it is connected at this moment."""

    call_id: str
    seat: str
    fence: int
    through: bool


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
    talks: tuple[Talk, ...] = ()
    """Empty but while talking; in the order in which the seats came."""
    closed: tuple[ClosedRequest, ...] = ()
    button_stuck: bool = False
    asked_at: float = 0.0
    """When the press came that asked again after an answer, if one did."""
    origin: Origin = Origin.CALL_BUTTON
    """``SEAT``: there is no request, only a seat's call, whose name ``request_id`` is."""
    by_itself: bool = False
    """This call will be answered without the patient."""
    answered_by: Press | None = None
    """The press that answers, or answered, the seat that calls."""
    alarm: bool = False
    """Nobody has answered for too long; the desk said so, and only the desk, an answer or a close ends it."""

    @property
    def priority(self) -> Priority:
        """Raised to urgent by repeated presses, never lowered."""
        limit = self.rules.urgent_after_presses
        raised = Priority.URGENT if limit and self.presses >= limit else Priority.NORMAL
        return max(self.rules.priority, raised, PRIORITIES.get(self.origin, Priority.NORMAL))

    @property
    def is_open(self) -> bool:
        """Somebody at the bed has asked, and nobody has attended."""
        return self.state is not State.IDLE and self.origin is not Origin.SEAT


Step = tuple[RequestState, list[Effect]]


def forgotten(request: RequestState) -> RequestState:
    """No request: only what is true of the bed stays."""
    return RequestState(
        rules=request.rules, link=request.link, closed=request.closed, button_stuck=request.button_stuck
    )


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
    if state is State.CALLED:
        return View(LampSign.CALLED, "seat_calls_by_itself" if request.by_itself else "seat_calls")
    if state is State.ANSWERING:
        return View(LampSign.HEARD, "answering")
    if state is State.TALKING:
        return _talking(sum(talk.through for talk in request.talks))
    if request.alarm:
        return View(LampSign.WAITING, "alarm")
    return View(LampSign.WAITING, state.value, request.place if state is State.QUEUED else 0)


def _talking(connected: int) -> View:
    if connected == 0:
        return View(LampSign.WAITING, "interrupted")
    if connected == 1:
        return View(LampSign.TALKING, "talking")
    return View(LampSign.TALKING, "talking_with_several", seats=connected)


def open_request(request: RequestState, *, now: float) -> OpenRequest | None:
    """The request as the wire tells it at *now* (monotonic seconds), or None when there is none.

    A talk that a seat began is told as well, with its origin: a desk that was just started learns of it.
    """
    if request.state is State.IDLE or (request.state is not State.TALKING and not request.is_open):
        return None
    phase = _PHASES.get(request.state, Phase.WAITING)
    talks = tuple(wire.Talk(call_id=talk.call_id, seat=talk.seat, fence=talk.fence) for talk in request.talks)
    return OpenRequest(
        request_id=request.request_id,
        age=max(0, round((now - request.opened_at) * 1000)),
        presses=request.presses,
        priority=request.priority,
        origin=request.origin,
        call_type=request.rules.call_type,
        seat=request.rules.seat,
        phase=phase,
        call_id=talks[0].call_id if talks else None,
        call_seat=talks[0].seat if talks else None,
        fence=talks[0].fence if talks else 0,
        others=talks[1:],
        spoken=request.spoken,
        waited=max(0, round((now - request.asked_at) * 1000)) if request.asked_at > request.opened_at else None,
    )


def kept_request(request: RequestState, *, now: float) -> OpenRequest | None:
    """What must survive a power cut: the request, and the one that a press to answer becomes if nobody is there."""
    if request.state is State.ANSWERING:
        request = asked(request)
    return open_request(request, now=now) if request.is_open else None


_PHASES = {
    State.TALKING: Phase.TALKING,
    State.ANSWERED: Phase.ANSWERED,
    State.CALLED: Phase.ANSWERED,
    State.ANSWERING: Phase.ANSWERED,
}


def added(request: RequestState, press: Press) -> RequestState:
    """*request* with one press more, which may be the one that opens it."""
    if request.is_open and request.request_id:
        origin = max(request.origin, press.origin, key=lambda each: URGENCY[each])
        return replace(request, presses=request.presses + 1, origin=origin)
    request_id = request.request_id or press.request_id
    return replace(
        request, request_id=request_id, opened_at=press.at, presses=1, spoken=False, place=0, origin=press.origin
    )


def asked(request: RequestState) -> RequestState:
    """Nobody was there for who pressed to answer: that press asks, as any press does."""
    press = request.answered_by
    assert press is not None, "a press led here"
    if request.is_open:
        request = replace(request, asked_at=press.at)
    else:
        request = replace(request, request_id=press.request_id, origin=press.origin, presses=0, opened_at=press.at)
    return added(replace(request, state=State.UNSENT, answered_by=None), press)
