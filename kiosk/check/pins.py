"""What is to be said of what hangs on the pins: buttons, lamp, relay.

Pure.

Theory of operation
===================

A pin that is driven is read back: a short circuit or a broken driver holds it where it was. That light comes from
the lamp, and a ring from the other nurse call, only a person can tell; where nobody was asked it is said so.

A button's line is looked at for ``LOOK_S``: a finger that taps in that time is no fault. A broken wire of a button
that closes its line when pressed looks like a button at rest; it shows only when somebody presses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kiosk.check.findings import Finding, Part, faulty, fine, skipped

LOOK_S = 1.0
PRESS_WITHIN_S = 30.0
"""For the walk from the screen to the bed."""


@dataclass(frozen=True)
class Line:
    """A button's line, and its ``levels`` as it was looked at (True: down)."""

    name: str
    normally_closed: bool
    levels: Sequence[bool]


@dataclass(frozen=True)
class Driven:
    """An output pin that was switched: what was read when it was on and when it was off, and what a person saw
    (None: nobody was asked, or nobody answered)."""

    on: bool
    off: bool
    seen: bool | None = None


def judge_line(line: Line) -> Finding:
    """What is to be said of a button that nobody is asked to press."""
    if all(line.levels):
        code = "button_line_open" if line.normally_closed else "button_down"
        return faulty(Part.BUTTON, code, name=line.name)
    return fine(Part.BUTTON, "button_supervised" if line.normally_closed else "button_at_rest", name=line.name)


def judge_press(name: str, *, after_s: float | None) -> Finding:
    """Whether the button that somebody was asked to press was; None: it was not."""
    if after_s is None:
        return faulty(Part.BUTTON, "button_not_pressed", name=name, seconds=round(PRESS_WITHIN_S))
    return fine(Part.BUTTON, "button_pressed", name=name, seconds=round(after_s, 1))


def judge_lamp(driven: Driven) -> Finding:
    """What is to be said of the lamp."""
    if not driven.on or driven.off:
        return faulty(Part.LAMP, "lamp_stays_lit" if driven.off else "lamp_stays_dark")
    if driven.seen is None:
        return fine(Part.LAMP, "lamp_unseen")
    return fine(Part.LAMP, "lamp_seen") if driven.seen else faulty(Part.LAMP, "lamp_seen_dark")


def judge_relay(driven: Driven | None, *, at_rest_closed: bool) -> Finding:
    """What is to be said of the relay; *driven* is None when it was not to be switched."""
    if at_rest_closed:
        return faulty(Part.RELAY, "relay_stays_closed")
    if driven is None:
        return skipped(Part.RELAY, "relay_not_switched")
    if not driven.on or driven.off:
        return faulty(Part.RELAY, "relay_stays_closed" if driven.off else "relay_stays_open")
    if driven.seen is None:
        return fine(Part.RELAY, "relay_unheard")
    return fine(Part.RELAY, "relay_heard") if driven.seen else faulty(Part.RELAY, "relay_not_heard")
