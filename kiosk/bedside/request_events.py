"""What may happen to a request and what follows from it: the events and effects of ``request.py``.

Pure values. Times are monotonic seconds, given by the shell.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from kiosk.signaling.messages import ClosedRequest, CloseReason, OpenRequest, Origin


class State(enum.Enum):
    """Where the request stands."""

    IDLE = "idle"
    UNSENT = "unsent"
    SENT = "sent"
    QUEUED = "queued"
    DEFERRED = "deferred"
    RINGING = "ringing"
    TALKING = "talking"
    ANSWERED = "answered"
    CALLED = "called"
    """A seat calls; nothing is captured yet."""
    ANSWERING = "answering"
    """The patient has pressed to answer it: a press like any other until people are connected."""


class Link(enum.Enum):
    """Whether the desk can be reached."""

    DOWN = "down"
    UP = "up"
    REFUSED = "refused"
    """The desk refuses our login: "not registered"."""


class LampSign(enum.Enum):
    """What the lamp says; the lamp port knows how to blink it."""

    OFF = "off"
    HEARD = "heard"
    WAITING = "waiting"
    TALKING = "talking"
    CALLED = "called"


@dataclass(frozen=True)
class View:
    """What the bed shows: the lamp and the key of the words (``prompts.py``), with the numbers they name."""

    lamp: LampSign
    prompt: str
    place: int = 0
    """In the queue."""
    seats: int = 0
    """That are connected, if several are."""


# -- events


@dataclass(frozen=True)
class Press:
    """A button went down. ``request_id`` is used if this press opens a request."""

    at: float
    request_id: str
    origin: Origin = Origin.CALL_BUTTON


@dataclass(frozen=True)
class Cancel:
    """The patient used the separate cancel control."""


@dataclass(frozen=True)
class Attend:
    """Staff pressed the presence button at the bed."""


@dataclass(frozen=True)
class LinkChanged:
    """The link to the desk came up (logged in), went down, or was refused."""

    link: Link


@dataclass(frozen=True)
class Taken:
    """The desk holds the request; ``place`` in the queue (0 = not queued), or it is not queued at all."""

    request_id: str
    place: int = 0
    retry_later: bool = False


@dataclass(frozen=True)
class ClosedAtDesk:
    """The desk confirms a close, or a seat closed the request."""

    request_id: str
    reason: CloseReason


@dataclass(frozen=True)
class Held:
    """The desk holds a request of this bed that we forgot, for example in a power cut."""

    request: OpenRequest
    at: float


@dataclass(frozen=True)
class Restored:
    """The bed starts, and its journal kept this: nobody knows yet whether the desk still has it."""

    request: OpenRequest | None
    closed: tuple[ClosedRequest, ...]
    at: float
    alarm: bool = False
    """The desk had said that nobody answers."""


@dataclass(frozen=True)
class LocalAlarmed:
    """The desk says that nobody has answered for too long, or that this is over."""

    request_id: str
    on: bool


@dataclass(frozen=True)
class SeatCalls:
    """A seat calls this bed. ``request_id`` is the open request, or the name the desk gave this call.

    ``by_itself``: the facility lets the bed answer when it has rung for a while.
    """

    request_id: str
    by_itself: bool = False


@dataclass(frozen=True)
class Unheard:
    """The ring cannot be heard: then nothing is answered without the patient."""


@dataclass(frozen=True)
class SeatRings:
    """A seat's page shows the invitation and rings."""


@dataclass(frozen=True)
class SeatStopped:
    """The ringing, at the seat or here, ended without a talk."""


@dataclass(frozen=True)
class CallConnected:
    """Accepted, and media flow."""

    call_id: str
    seat: str
    fence: int


@dataclass(frozen=True)
class SeatJoins:
    """Another seat has accepted, and comes into the talk: :class:`CallConnected` when its media flow."""

    call_id: str
    seat: str
    fence: int


@dataclass(frozen=True)
class CallInterrupted:
    """Nothing comes through any more; a new connection to the same seat is being made."""

    call_id: str


@dataclass(frozen=True)
class CallRestored:
    """Media flow again."""

    call_id: str


@dataclass(frozen=True)
class CallEnded:
    """A talk was hung up by either side."""

    call_id: str
    spoken: bool = False


@dataclass(frozen=True)
class CallBroke:
    """A talk ended by a fault: nobody may think it was finished."""

    call_id: str
    spoken: bool = False


@dataclass(frozen=True)
class ButtonChanged:
    """The call button is stuck, so that pressing it says nothing, or is free again."""

    stuck: bool


Event = (
    Press
    | Cancel
    | Attend
    | LinkChanged
    | Taken
    | ClosedAtDesk
    | Held
    | Restored
    | LocalAlarmed
    | SeatCalls
    | Unheard
    | SeatRings
    | SeatStopped
    | CallConnected
    | SeatJoins
    | CallInterrupted
    | CallRestored
    | CallEnded
    | CallBroke
    | ButtonChanged
)


# -- effects


@dataclass(frozen=True)
class SendRequest:
    """Tell the desk the request as it is now (:func:`open_request`)."""


@dataclass(frozen=True)
class SendClose:
    """Tell the desk that the request is closed; kept in ``RequestState.closed`` until it confirms."""

    request_id: str
    reason: CloseReason


@dataclass(frozen=True)
class AnswerCall:
    """The patient answers the seat that calls."""


@dataclass(frozen=True)
class StopCall:
    """End whatever call is on, ringing or connected."""


@dataclass(frozen=True)
class Show:
    """Lamp and words."""

    view: View


@dataclass(frozen=True)
class Reassure:
    """The patient pressed again: say the words once more."""

    view: View


@dataclass(frozen=True)
class Ignored:
    """The event means nothing in this state; the state did not move."""

    event: Event
    state: State


Effect = SendRequest | SendClose | AnswerCall | StopCall | Show | Reassure | Ignored
