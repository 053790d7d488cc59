"""Watches how good the talk's connection is at the bed, and remembers how good it is at the seat.

Runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from kiosk.media import quality
from kiosk.media.session import MediaSession
from kiosk.signaling.messages import Quality, QualityLevel

log = logging.getLogger(__name__)

End = Literal["bed", "seat"]
KEPT = 2 * 4
"""Both ends of as many calls as a talk can have."""


class QualityWatch:
    """Measures once a second from :meth:`start` to :meth:`stop`.

    *session* gives the talk's connection of the moment; *report* is given what was measured, on the loop.
    """

    def __init__(self, session: Callable[[], MediaSession | None], *, report: Callable[[Quality], None]) -> None:
        self._session = session
        self._report = report
        self._watching: asyncio.Task[None] | None = None

    def start(self, call_id: str) -> None:
        """Measure the talk *call_id*; nothing happens when it is measured already."""
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._watch(call_id))

    def stop(self) -> None:
        """The talk is over."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _watch(self, call_id: str) -> None:
        standing = quality.Standing()
        seen: deque[quality.Totals] = deque(maxlen=quality.SPAN + 1)
        source: MediaSession | None = None
        await asyncio.sleep(quality.SETTLE * quality.EVERY_S)
        while True:
            session = self._session()
            if session is not source or session is None or not session.connected:
                source = session
                seen.clear()
            sample = quality.STALLED
            if session is not None and session.connected:
                seen.append(await session.totals(at=time.monotonic()))
                sample = quality.between(seen[0], seen[-1])
            standing = quality.judge(standing, sample)
            self._report(quality.told(call_id, standing))
            await asyncio.sleep(quality.EVERY_S)


class QualityLog:
    """Tells *watcher* what either end of each call measures, and the log when a quality changes."""

    def __init__(self, watcher: Callable[[End, Quality], None]) -> None:
        self._watcher = watcher
        self._logged: dict[tuple[End, str], QualityLevel] = {}
        self._latest: dict[tuple[End, str], Quality] = {}
        """Both of the last ``KEPT``, oldest first."""

    def note(self, end: End, told: Quality) -> None:
        """*told* was measured at *end*."""
        self._watcher(end, told)
        before = self._logged.get((end, told.call_id), QualityLevel.UNKNOWN)
        self._logged[end, told.call_id] = told.quality
        self._latest[end, told.call_id] = told
        if len(self._logged) > KEPT:
            oldest = next(iter(self._logged))
            del self._logged[oldest], self._latest[oldest]
        if told.quality is not before:
            log.info("- call %s: at the %s the connection is %s", told.call_id, end, in_words(told))

    def latest(self, end: End, call_id: str) -> Quality | None:
        """What *end* measured last in the call *call_id*."""
        return self._latest.get((end, call_id))


def in_words(told: Quality) -> str:
    """One line for the log; what is not known is left out."""
    figures = {
        "loss in %": told.loss_in and told.loss_in * 100,
        "loss out %": told.loss_out and told.loss_out * 100,
        "rtt ms": told.rtt_ms,
        "jitter ms": told.jitter_ms,
        "kb/s in": told.kbps_in,
        "kb/s out": told.kbps_out,
        "fps": told.fps,
        "concealed %": told.concealed and told.concealed * 100,
    }
    known = [f"{name} {value:.3g}" for name, value in figures.items() if value is not None]
    word = told.quality.name.lower().replace("_", " ")
    return f"{word} ({', '.join(known)})" if known else word
