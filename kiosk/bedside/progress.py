"""Whether the bed really goes on, so that systemd's watchdog may be fed.

Pure: time is an argument (monotonic seconds).

Theory of operation
===================

A process that lives is not yet a bed that works: its loop may run while nobody looks at the button. So each path
that a patient depends on leaves a mark when it has really moved, and says within which time it will move again. The
watchdog is fed when all have kept their word. One that has not starves it; systemd then kills the process and
starts it anew, and the request comes back.

==========  =========================================  ===============================================
path        moves when                                 and again within
==========  =========================================  ===============================================
event loop  this question is asked at all              (systemd's own time)
a button    its level was read                         ``BUTTON_WITHIN_S``
signaling   a message came, an attempt began, ended,   what it waits for next (silence, time-outs, the
            or its pause did                           pause), and ``SIGNALING_SLACK_S``
audio       a block was played or captured, in a call  ``AUDIO_WITHIN_S``
==========  =========================================  ===============================================

A desk that cannot be reached is no reason to start anew: attempts that fail are progress. Nor is a device that has
told its own fault: its sound is not waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BUTTON_WITHIN_S = 2.0
"""Four re-reads (``debounce.REREAD_S``)."""
SIGNALING_SLACK_S = 5.0
"""For a loop that is late, and for goodbyes."""
AUDIO_WITHIN_S = 5.0
"""A sound device that stalls tells so itself within 2 s; this is for one that cannot."""


@dataclass(frozen=True)
class Path:
    """When it last moved, and within how many seconds it is to move again."""

    at: float
    within: float


def stalled(paths: Mapping[str, Path], *, now: float) -> tuple[str, ...]:
    """The names of those that have not moved in their time; none: the watchdog may be fed."""
    return tuple(name for name, path in paths.items() if now - path.at > path.within)


def audio(talking_since: float | None, moved_at: Mapping[str, float], *, faulty: frozenset[str]) -> Path | None:
    """The audio path: in a call, and of the devices (last moved at) that are not *faulty*; any of them will do."""
    moved = [at for device, at in moved_at.items() if device not in faulty]
    if talking_since is None or not moved:
        return None
    return Path(max(talking_since, *moved), AUDIO_WITHIN_S)
