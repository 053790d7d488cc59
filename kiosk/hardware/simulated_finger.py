"""A finger that presses a simulated button as a real one does: with bounce."""

from __future__ import annotations

import random
import time

from gpiozero.pins.mock import MockFactory, MockPin

BOUNCE_GAP_S = 0.0005
"""Between two edges of a bouncing contact; real ones are some 0.1 to 1 ms apart."""


class SimulatedFinger:
    """Presses a simulated button wired between *pin* and ground: pressed = low, or
    high where it is *normally_closed*. It can also pull the button's cord, which leaves the pin to its pull-up.

    Each change of the contact chatters *bounces* times, with *bounce_s* seconds between edges; with *rng* the
    number (0 to *bounces*) and the gaps (0 to *bounce_s*) differ each time. Calls block for as long as the chatter
    lasts and deliver the edges on the caller's thread, as gpiozero's mock does.
    """

    def __init__(
        self,
        factory: MockFactory,
        pin: int,
        *,
        bounces: int = 5,
        bounce_s: float = BOUNCE_GAP_S,
        rng: random.Random | None = None,
        normally_closed: bool = False,
    ) -> None:
        self._pin: MockPin = factory.pin(pin)
        self._bounces = bounces
        self._bounce_s = bounce_s
        self._rng = rng
        self._normally_closed = normally_closed

    def press(self) -> None:
        """Push the button down."""
        self._chatter(made=True)

    def release(self) -> None:
        """Let it come up."""
        self._chatter(made=False)

    def unplug(self) -> None:
        """Pull the cord."""
        self._pin.drive_high()

    def plug_in(self) -> None:
        """Plug the cord in, with nobody at the button."""
        self._drive(False)

    def tap(self, hold_s: float = 0.08) -> None:
        """Press, hold for *hold_s* seconds (5 ms is a short but real tap), release."""
        self.press()
        time.sleep(hold_s)
        self.release()

    def _chatter(self, *, made: bool) -> None:
        bounces = self._bounces if self._rng is None else self._rng.randint(0, self._bounces)
        for _ in range(bounces):
            self._drive(made)
            self._pause()
            self._drive(not made)
            self._pause()
        self._drive(made)

    def _pause(self) -> None:
        time.sleep(self._bounce_s if self._rng is None else self._rng.uniform(0, self._bounce_s))

    def _drive(self, made: bool) -> None:
        if made is not self._normally_closed:
            self._pin.drive_low()
        else:
            self._pin.drive_high()
