"""The reassurance lamp's port.

The rhythms borrow the frequencies of IEC 60601-1-8 (0.4–0.8 Hz and 1.4–2.8 Hz); this is no alarm system and makes
no claim to be one.
"""

from __future__ import annotations

import enum
import itertools
from abc import ABC, abstractmethod

import gpiozero
from gpiozero.pins import Factory

from kiosk.hardware.button import gpio_errors

SLOW_HALF_PERIOD_S = 0.9
FAST_HALF_PERIOD_S = 0.25


class LampPattern(enum.StrEnum):
    """What the lamp does."""

    OFF = "off"
    ON = "on"
    SLOW = "slow"
    """0.55 Hz."""
    FAST = "fast"
    """2 Hz."""
    DOUBLE = "double"
    """Two short flashes, a pause: a seat calls."""


DOUBLE_STEP_S = 0.15
DOUBLE = (1, 0, 1, 0, 0, 0, 0, 0)
"""A step each; then again."""

_HALF_PERIOD_S = {LampPattern.SLOW: SLOW_HALF_PERIOD_S, LampPattern.FAST: FAST_HALF_PERIOD_S}


class Lamp(ABC):
    """A lamp. Implementations must return at once and must begin every blinking pattern lit."""

    @abstractmethod
    def show(self, pattern: LampPattern) -> None:
        """Show *pattern* until the next call. Any thread."""

    @property
    @abstractmethod
    def lit(self) -> bool:
        """Whether it is lit at this moment."""

    @abstractmethod
    def close(self) -> None:
        """Dark, and let the pin go. May be called twice."""


class GpioLamp(Lamp):
    """An LED (or its driver) on GPIO *pin*, through gpiozero; simulated with a mock *factory*."""

    def __init__(self, pin: int, *, factory: Factory) -> None:
        with gpio_errors(f"lamp at GPIO{pin}"):
            self._led = gpiozero.LED(pin, pin_factory=factory)
        self._pattern = LampPattern.OFF

    def show(self, pattern: LampPattern) -> None:
        """Show *pattern*; the same one again changes nothing, so that it does not stumble."""
        if pattern is self._pattern:
            return
        self._pattern = pattern
        self._led.source = None
        half_period = _HALF_PERIOD_S.get(pattern)
        self._led.value = int(pattern is not LampPattern.OFF)
        if half_period is not None:
            self._led.blink(on_time=half_period, off_time=half_period)
        elif pattern is LampPattern.DOUBLE:
            self._led.source_delay = DOUBLE_STEP_S
            self._led.source = itertools.cycle(DOUBLE)

    @property
    def lit(self) -> bool:
        """Read the pin."""
        return not self._led.closed and bool(self._led.value)

    def close(self) -> None:
        """Dark."""
        self._led.close()
