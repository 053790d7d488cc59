"""Where GPIO pins come from: the Pi's, through lgpio, or simulated ones.

gpiozero's automatic choice of a back-end falls through four libraries and ends in one that cannot see edges; a bed
whose button might not work must say so instead, so the back-end is named here.
"""

from __future__ import annotations

import importlib
from typing import Any

import gpiozero
from gpiozero.pins import Factory
from gpiozero.pins.mock import MockFactory, MockPWMPin

from kiosk.errors import HardwareFault

KEPT_STATES = 64
"""Of each simulated pin: a lamp that blinks for weeks must not grow."""


class _LastStates(list[Any]):
    def append(self, state: Any) -> None:
        super().append(state)
        del self[:-KEPT_STATES]


class SimulatedPin(MockPWMPin):  # type: ignore[misc]
    """gpiozero's, but it does not remember all its states for ever, and its line can have a short circuit."""

    shorted_to: bool | None = None
    """The level that the pin is held at, whatever drives it: None: there is no short circuit."""

    def _get_state(self) -> Any:
        return super()._get_state() if self.shorted_to is None else self.shorted_to

    def clear_states(self) -> None:
        super().clear_states()
        self.states: list[Any] = _LastStates(self.states)


def real_pins() -> Factory:
    """The Pi's pins. Raises :exc:`HardwareFault` where there are none."""
    try:
        return importlib.import_module("gpiozero.pins.lgpio").LGPIOFactory()
    except (ImportError, OSError, gpiozero.GPIOZeroError) as error:
        raise HardwareFault(
            f"GPIO: this machine's pins cannot be used ({error}); on a Pi install lgpio and join the group gpio,"
            " elsewhere set buttons.simulated = true"
        ) from None


def simulated_pins() -> MockFactory:
    """A fresh set of gpiozero's mock pins, so that everything above them is the code that runs on a Pi."""
    return MockFactory(pin_class=SimulatedPin)
