"""From the raw edges of one push button to pressed, released and held.

Pure: time is an argument (monotonic seconds).

Theory of operation
===================

A contact bounces: it makes and breaks for some milliseconds whenever it moves. gpiozero's own debounce can
drop a whole press after a short pulse (gpiozero#1039), so the button gives us every edge and we decide here.

Rule 1. The *first* making edge of a contact at rest is a press, at once. There is no minimum length: a weak
finger's 5 ms tap counts, because a lost press is worse than a false one.

Rule 2. Releasing is believed only after the contact has been broken for ``bounce`` seconds without a making
edge. Until then a making edge is bounce and changes nothing. The edges' own times count, however late a busy shell
hears of them: a making edge ``bounce`` after the contact broke first releases the button, though nobody has looked
in between, and then presses it anew.

Rule 3. An edge may be lost. ``Look`` tells the level really on the pin; it stands in for the lost edge, and it
is also the timer: the shell looks when :func:`next_look` says so, and every ``REREAD_S`` besides.

Rule 4. A finger does not stay for ``stuck`` seconds. A contact that does is stuck (something lies on the button,
water is in it), or it is a normally-closed line whose cord was pulled or whose wire broke, which looks like a press
that never ends. The press itself has asked for help already; that it does not end is a fault. From there nothing is
counted as a press until the contact has really opened, which also ends the fault.

=========  =====================  =======================  ============================  ======================
state      made                   broken                   broken for ``bounce``         made for ``stuck``
=========  =====================  =======================  ============================  ======================
OPEN       CLOSED, **Pressed**    OPEN                     OPEN                          CLOSED, **Pressed**
CLOSED     CLOSED                 OPENING                  OPENING (an edge was lost)    STUCK, **Stuck**
OPENING    CLOSED (bounce)        OPENING, clock restarts  OPEN, **Released**            STUCK, **Stuck**
STUCK      STUCK                  FREEING                  FREEING (an edge was lost)    STUCK
FREEING    STUCK (bounce)         FREEING, clock restarts  OPEN, **Released, Freed**     STUCK (bounce)
=========  =====================  =======================  ============================  ======================

"Made for ``stuck``" counts from the last press, so for an open contact it says no more than "made".

**Held** is reported once per press, when the contact has stayed CLOSED for ``hold`` seconds since the press.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

__all__ = [
    "REREAD_S",
    "STUCK_S",
    "Button",
    "Contact",
    "Edge",
    "Freed",
    "Held",
    "Look",
    "Pressed",
    "Released",
    "Stuck",
    "next_look",
    "step",
]

REREAD_S = 0.5
"""How often the level is re-read even when no edge came (kvmd's practice)."""
STUCK_S = 30.0
"""A call button that is down for so long is stuck (facts §6)."""


class Contact(enum.Enum):
    """What the contact is believed to do."""

    OPEN = "open"
    CLOSED = "closed"
    OPENING = "opening"
    STUCK = "stuck"
    FREEING = "freeing"


class Signal(enum.Enum):
    """What was seen of the contact."""

    MADE = "made"
    BROKEN = "broken"
    STAYED_BROKEN = "stayed_broken"
    STAYED_MADE = "stayed_made"


@dataclass(frozen=True)
class Edge:
    """A raw edge: the contact made (``active``) or broke at ``at``."""

    active: bool
    at: float


@dataclass(frozen=True)
class Look:
    """The level read from the pin at ``at``."""

    active: bool
    at: float


@dataclass(frozen=True)
class Pressed:
    """The button went down at ``at``."""

    at: float


@dataclass(frozen=True)
class Released:
    """The button came up; it had been down for ``after`` seconds."""

    at: float
    after: float


@dataclass(frozen=True)
class Held:
    """The button has been down for the hold time."""

    at: float


@dataclass(frozen=True)
class Stuck:
    """The button does not come up: a fault."""

    at: float


@dataclass(frozen=True)
class Freed:
    """A button that was stuck came up: the fault is over."""

    at: float


Event = Pressed | Released | Held | Stuck | Freed


@dataclass(frozen=True)
class Button:
    """State of one button. ``bounce``, ``hold``, ``stuck`` in seconds; None = to hold, or stick, means nothing."""

    bounce: float = 0.04
    hold: float | None = None
    stuck: float | None = None
    contact: Contact = Contact.OPEN
    broken_at: float = 0.0
    pressed_at: float = 0.0
    held: bool = False


TRANSITIONS: dict[Contact, dict[Signal, Contact]] = {
    Contact.OPEN: {
        Signal.MADE: Contact.CLOSED,
        Signal.BROKEN: Contact.OPEN,
        Signal.STAYED_BROKEN: Contact.OPEN,
        Signal.STAYED_MADE: Contact.CLOSED,
    },
    Contact.CLOSED: {
        Signal.MADE: Contact.CLOSED,
        Signal.BROKEN: Contact.OPENING,
        Signal.STAYED_BROKEN: Contact.OPENING,
        Signal.STAYED_MADE: Contact.STUCK,
    },
    Contact.OPENING: {
        Signal.MADE: Contact.CLOSED,
        Signal.BROKEN: Contact.OPENING,
        Signal.STAYED_BROKEN: Contact.OPEN,
        Signal.STAYED_MADE: Contact.STUCK,
    },
    Contact.STUCK: {
        Signal.MADE: Contact.STUCK,
        Signal.BROKEN: Contact.FREEING,
        Signal.STAYED_BROKEN: Contact.FREEING,
        Signal.STAYED_MADE: Contact.STUCK,
    },
    Contact.FREEING: {
        Signal.MADE: Contact.STUCK,
        Signal.BROKEN: Contact.FREEING,
        Signal.STAYED_BROKEN: Contact.OPEN,
        Signal.STAYED_MADE: Contact.STUCK,
    },
}
_BREAKING = (Contact.OPENING, Contact.FREEING)


def step(button: Button, seen: Edge | Look) -> tuple[Button, list[Event]]:
    """Apply what was *seen*; return the new state and what happened, in order."""
    if isinstance(seen, Edge) and seen.active and _has_stayed_broken(button, seen.at):
        button, released = step(button, Look(False, seen.at))
        button, pressed = step(button, seen)
        return button, [*released, *pressed]
    before = button.contact
    after = TRANSITIONS[before][_signal(button, seen)]
    events: list[Event] = []
    if before is Contact.OPEN and after is Contact.CLOSED:
        button = replace(button, pressed_at=seen.at, held=False)
        events.append(Pressed(seen.at))
    elif before in _BREAKING and after is Contact.OPEN:
        events.append(Released(seen.at, button.broken_at - button.pressed_at))
        if before is Contact.FREEING:
            events.append(Freed(seen.at))
    elif after in _BREAKING and (before is not after or isinstance(seen, Edge)):
        button = replace(button, broken_at=seen.at)
    elif after is Contact.STUCK and before in (Contact.CLOSED, Contact.OPENING):
        events.append(Stuck(seen.at))
    button = replace(button, contact=after)
    if _hold_is_due(button) and seen.at >= _hold_at(button):
        button = replace(button, held=True)
        events.append(Held(seen.at))
    return button, events


def next_look(button: Button) -> float | None:
    """When the shell must look at the level next (monotonic seconds); None: only the regular re-read."""
    if button.contact in _BREAKING:
        return button.broken_at + button.bounce
    due = [_hold_at(button)] if _hold_is_due(button) else []
    if button.stuck is not None and button.contact is Contact.CLOSED:
        due.append(button.pressed_at + button.stuck)
    return min(due, default=None)


def _signal(button: Button, seen: Edge | Look) -> Signal:
    if seen.active:
        stayed = button.stuck is not None and seen.at >= button.pressed_at + button.stuck
        return Signal.STAYED_MADE if stayed else Signal.MADE
    if isinstance(seen, Look) and seen.at - button.broken_at >= button.bounce:
        return Signal.STAYED_BROKEN
    return Signal.BROKEN


def _has_stayed_broken(button: Button, at: float) -> bool:
    return button.contact in _BREAKING and at - button.broken_at >= button.bounce


def _hold_is_due(button: Button) -> bool:
    return button.hold is not None and button.contact is Contact.CLOSED and not button.held


def _hold_at(button: Button) -> float:
    return button.pressed_at + (button.hold or 0.0)
