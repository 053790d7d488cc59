"""How often the bed's long-lived parts may be started again before the whole process is.

Pure: time is an argument (monotonic seconds).

Theory of operation
===================

A part (a button's watch, the signaling, the word to systemd) never ends by itself. One that does has met a fault
nobody thought of, and is started again at once: a fault of one moment costs one moment, and the other parts go on.
One that ends again and again is not mended by that. Then the process ends with an error, and systemd starts it anew
(``systemd/kiosk.service``); where that does not help either, systemd's own limit ends in a reboot. As Erlang's
supervisors do; their defaults are 1 restart in 5 s (OTP) and 3 in 5 s (Elixir). Ours are 3 in 60 s, since a part of
the bed needs some seconds to fail again: a connection, a login.

==================================  =====================================
restarts in the last ``WITHIN_S``   a part has ended
==================================  =====================================
fewer than ``MAX_RESTARTS``         it is started again, **Restart**
``MAX_RESTARTS``                    the process ends, **GiveUp**
==================================  =====================================

The restarts of all parts count together: what fails in turn fails all the same.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

MAX_RESTARTS = 3
WITHIN_S = 60.0


class Verdict(enum.Enum):
    """What follows from the end of a part."""

    RESTART = "restart"
    GIVE_UP = "give up"


@dataclass(frozen=True)
class Restarts:
    """When parts were started again, of late."""

    at: tuple[float, ...] = ()


def ended(restarts: Restarts, *, now: float) -> tuple[Restarts, Verdict]:
    """A part has ended at *now*: whether it is started again, and what is to be remembered."""
    recent = tuple(at for at in restarts.at if now - at < WITHIN_S)
    if len(recent) >= MAX_RESTARTS:
        return Restarts(recent), Verdict.GIVE_UP
    return Restarts((*recent, now)), Verdict.RESTART
