"""Where GPIO pins come from: the Pi's, through lgpio, or simulated ones.

gpiozero's automatic choice of a back-end falls through four libraries and ends in one that cannot see edges; a bed
whose button might not work must say so instead, so the back-end is named here.
"""

from __future__ import annotations

import importlib

import gpiozero
from gpiozero.pins import Factory
from gpiozero.pins.mock import MockFactory, MockPWMPin

from kiosk.errors import HardwareFault


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
    return MockFactory(pin_class=MockPWMPin)
