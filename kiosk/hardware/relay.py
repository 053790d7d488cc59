"""The port of the relay towards the certified nurse call: a dry contact that calls there as a pressed bell does.

Open is the state of rest, also without power: a kiosk that is off calls nobody, as if it were not there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import gpiozero
from gpiozero.pins import Factory

from kiosk.hardware.button import gpio_errors


class Relay(ABC):
    """One relay. Implementations must return at once and must be open until told otherwise."""

    @abstractmethod
    def switch(self, closed: bool) -> None:
        """Close the contact, or open it. Any thread."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether it calls at this moment."""

    @abstractmethod
    def close(self) -> None:
        """Open the contact, and let the pin go. May be called twice."""


class GpioRelay(Relay):
    """A relay (or its driver) on GPIO *pin*, through gpiozero; simulated with a mock *factory*.

    *active_high*: the driver closes the relay when the pin is high; many relay boards do when it is low.
    """

    def __init__(self, pin: int, *, active_high: bool, factory: Factory) -> None:
        with gpio_errors(f"relay at GPIO{pin}"):
            self._device = gpiozero.OutputDevice(pin, active_high=active_high, pin_factory=factory)

    def switch(self, closed: bool) -> None:
        """Drive the pin."""
        self._device.value = closed

    @property
    def closed(self) -> bool:
        """Read the pin."""
        return not self._device.closed and bool(self._device.value)

    def close(self) -> None:
        """Open."""
        if not self._device.closed:
            self._device.off()
        self._device.close()
