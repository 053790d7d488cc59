"""The lamp, which a self-test may borrow: what the bed wants to show meanwhile is shown when it is given back."""

from __future__ import annotations

from kiosk.hardware.lamp import Lamp, LampPattern


class SharedLamp(Lamp):
    """*lamp*, for two. The loop's thread."""

    def __init__(self, lamp: Lamp) -> None:
        self._lamp = lamp
        self._wanted = LampPattern.OFF
        self._borrowed = False

    def show(self, pattern: LampPattern) -> None:
        """What the bed wants to show."""
        self._wanted = pattern
        if not self._borrowed:
            self._lamp.show(pattern)

    def borrow(self, pattern: LampPattern) -> None:
        """Show *pattern*, whatever the bed wants, until :meth:`give_back`."""
        self._borrowed = True
        self._lamp.show(pattern)

    def give_back(self) -> None:
        """Show what the bed wants. May be called twice."""
        self._borrowed = False
        self._lamp.show(self._wanted)

    @property
    def lit(self) -> bool:
        """Read the pin."""
        return self._lamp.lit

    def close(self) -> None:
        """Dark."""
        self._lamp.close()
