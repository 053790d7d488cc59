"""How unevenly packets arrive, and how long sound must wait because of it. Pure: times are arguments, in seconds.

Theory of operation
===================

A packet's *transit* is its arrival by our clock less its time stamp by the sender's: meaningless by itself, but the
least of the last two seconds is the path without any queue, and what a packet is above that is its *lateness*. The
sender's clock may drift and the route may change: two seconds later the least is another.

The wait that is worth its delay is the one that nearly every packet makes: the 98th percentile of five seconds'
lateness, and a little. Of packets that arrive in one burst only the first counts. It tells how long the path stood
still; those behind it stood in the same queue, and would make one outage look like a habit.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

LEAST_OF = 100
"""Packets that the least transit is looked for in: 2 s."""
LATENESS_OF = 250
"""Arrivals whose lateness is remembered: 5 s."""
IN_TIME = 0.98
MARGIN_S = 0.005
BURST_S = 0.003
"""Packets of 20 ms sound that come closer than this have waited for each other."""


class Jitter:
    """What arrived of late."""

    def __init__(self) -> None:
        self._transits: deque[float] = deque(maxlen=LEAST_OF)
        self.least_transit_s = math.inf
        """Of a packet that met no queue. Kept, as it is asked for several times between two packets."""
        self._latenesses: deque[float] = deque()
        self._sorted: list[float] = []
        self._arrived_at: float | None = None

    def __bool__(self) -> bool:
        """Whether anything has arrived."""
        return bool(self._transits)

    def lateness_s(self, transit_s: float) -> float:
        """How much later than the quickest of late; may be negative. Something must have arrived."""
        return transit_s - self.least_transit_s

    def arrived(self, *, at: float, transit_s: float) -> None:
        """A packet came at *at*, whether or not it is still of use."""
        self._transits.append(transit_s)
        self.least_transit_s = min(self._transits)
        in_burst = self._arrived_at is not None and at - self._arrived_at < BURST_S
        self._arrived_at = at
        if in_burst:
            return
        lateness = self.lateness_s(transit_s)
        self._latenesses.append(lateness)
        insort(self._sorted, lateness)
        if len(self._latenesses) > LATENESS_OF:
            del self._sorted[bisect_left(self._sorted, self._latenesses.popleft())]

    @property
    def wait_s(self) -> float:
        """How long sound should wait after the quickest packet. Something must have arrived."""
        return self._sorted[int(IN_TIME * (len(self._sorted) - 1))] + MARGIN_S
