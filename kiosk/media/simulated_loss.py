"""A simulated fault of the network: this process's media stand still, or some are lost and all are late.

Ships with the product, for the fault bench and the tests, as the simulated hardware does; only ``kiosk run
--hand`` can switch it. Datagrams are lost where aioice touches the socket: STUN, DTLS, RTP and RTCP alike, as when
a cable is pulled. Signaling goes on.
"""

from __future__ import annotations

import random
import time
from typing import Literal

from kiosk.media.aiortc_private import Direction, lose_datagrams

Stalled = Literal["both", "in", "out"]
SEED = 5
"""The same packets are lost in each run, as far as their order is the same."""


class SimulatedLoss:
    """Lets everything pass until told otherwise. Any thread may switch it."""

    def __init__(self) -> None:
        self._until: dict[Direction, float] = {"in": 0.0, "out": 0.0}
        self._share = self._delay_s = 0.0
        self._chance = random.Random(SEED)  # noqa: S311  (a simulation)

    def install(self) -> None:
        """Stand between aioice and its sockets, for every connection of this process."""
        lose_datagrams(self.loses, delay_s=self.delay_s)

    def stall(self, direction: Stalled, seconds: float) -> None:
        """Lose everything that goes in *direction*, seen from the bed, from now on for *seconds*."""
        until = time.monotonic() + seconds
        for one in ("in", "out") if direction == "both" else (direction,):
            self._until[one] = until

    def be_bad(self, *, share: float, delay_s: float) -> None:
        """From now on lose *share* (0 to 1) of what goes either way, and let the rest pass *delay_s* later."""
        self._share, self._delay_s = share, delay_s

    def let_pass(self) -> None:
        """Lose nothing any more, and let nothing wait."""
        self._share = self._delay_s = 0.0
        self._until = {"in": 0.0, "out": 0.0}

    def loses(self, direction: Direction) -> bool:
        """Whether a datagram that goes in *direction* now is lost."""
        return time.monotonic() < self._until[direction] or self._chance.random() < self._share

    def delay_s(self, direction: Direction) -> float:
        """How much later a datagram passes that goes in *direction* now."""
        return self._delay_s
