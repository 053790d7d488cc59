"""A finger that presses a simulated button as a real one does: with bounce."""

from __future__ import annotations

import time

from gpiozero.pins.mock import MockFactory, MockPin

BOUNCE_GAP_S = 0.0005
"""Between two edges of a bouncing contact; real ones are some 0.1 to 1 ms apart."""


class SimulatedFinger:
    """Presses a simulated button wired between *pin* and ground: made = low.

    Each change of the contact chatters *bounces* times. Calls block for as long as the chatter lasts and deliver
    the edges on the caller's thread, as gpiozero's mock does.
    """

    def __init__(self, factory: MockFactory, pin: int, *, bounces: int = 5) -> None:
        self._pin: MockPin = factory.pin(pin)
        self._bounces = bounces

    def press(self) -> None:
        """Make the contact."""
        self._chatter(made=True)

    def release(self) -> None:
        """Break the contact."""
        self._chatter(made=False)

    def tap(self, hold_s: float = 0.08) -> None:
        """Press, hold for *hold_s* seconds (5 ms is a short but real tap), release."""
        self.press()
        time.sleep(hold_s)
        self.release()

    def _chatter(self, *, made: bool) -> None:
        for _ in range(self._bounces):
            self._drive(made)
            time.sleep(BOUNCE_GAP_S)
            self._drive(not made)
            time.sleep(BOUNCE_GAP_S)
        self._drive(made)

    def _drive(self, made: bool) -> None:
        if made:
            self._pin.drive_low()
        else:
            self._pin.drive_high()
