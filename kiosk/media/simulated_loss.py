"""Simulated faults of the network: the media of this process stand still, or lose a part of their datagrams.

Ships with the product, for the fault bench and the tests, as the simulated hardware does; only ``kiosk run
--hand`` can switch it. Datagrams are lost where aioice touches the socket: STUN, DTLS, RTP and RTCP alike, as when
a cable is pulled. Signaling goes on.
"""

from __future__ import annotations

import time
from typing import Literal

from kiosk.media.aiortc_private import Direction, lose_datagrams

Stalled = Literal["both", "in", "out"]


class SimulatedLoss:
    """Lets everything pass until told otherwise. Any thread may switch it."""

    def __init__(self) -> None:
        self._until: dict[Direction, float] = {"in": 0.0, "out": 0.0}
        self._part = 0.0
        self._owed: dict[Direction, float] = {"in": 0.0, "out": 0.0}

    def install(self) -> None:
        """Stand between aioice and its sockets, for every connection of this process."""
        lose_datagrams(self.loses)

    def stall(self, direction: Stalled, seconds: float) -> None:
        """Lose everything that goes in *direction*, seen from the bed, from now on for *seconds*."""
        until = time.monotonic() + seconds
        for one in ("in", "out") if direction == "both" else (direction,):
            self._until[one] = until

    def lose(self, part: float) -> None:
        """Lose *part* (0 to 1) of what goes in each direction, evenly, until told otherwise."""
        self._part = part

    def let_pass(self) -> None:
        """Lose nothing any more."""
        self._part = 0.0
        self._until = {"in": 0.0, "out": 0.0}

    def loses(self, direction: Direction) -> bool:
        """Whether a datagram that goes in *direction* now is lost."""
        if time.monotonic() < self._until[direction]:
            return True
        self._owed[direction] += self._part
        if self._owed[direction] < 1.0:
            return False
        self._owed[direction] -= 1.0
        return True
