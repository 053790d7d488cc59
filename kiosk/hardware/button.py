"""The push button's port: raw edges and the level, nothing else.

gpiozero's own ``bounce_time`` is never used: it can drop the press that follows a short pulse (gpiozero#1039), its
meaning differs between pin factories, and its mock ignores it. What an edge means is decided in
:mod:`kiosk.bedside.debounce`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import gpiozero
from gpiozero.pins import Factory

from kiosk.errors import HardwareFault


@dataclass(frozen=True)
class Edge:
    """The button went down (``active``) or came up; ``at``: monotonic seconds, taken in the back-end's callback."""

    active: bool
    at: float


class Button(ABC):
    """A push button.

    Implementations must deliver *every* edge, undebounced, must be able to tell the level at any time, and must
    hold the pin only between :meth:`start` and :meth:`close`.
    """

    name: str

    @abstractmethod
    def start(self, on_edge: Callable[[Edge], None]) -> None:
        """Deliver edges to *on_edge*, which is called on the back-end's thread and must return quickly."""

    @abstractmethod
    def level(self) -> bool:
        """Whether the button is down now."""

    @abstractmethod
    def close(self) -> None:
        """Let the pin go. May be called twice."""


class GpioButton(Button):
    """A button between GPIO *pin* and ground, with the Pi's pull-up, through gpiozero.

    *normally_closed*: at rest the line is closed and the pin low; a press, a pulled cord or a broken wire opens it.
    With a simulated *factory* (:mod:`kiosk.hardware.pins`) this same class is the simulated button.
    """

    def __init__(self, pin: int, *, factory: Factory, normally_closed: bool = False) -> None:
        self.name = f"GPIO{pin}"
        self._normally_closed = normally_closed
        self._on_edge: Callable[[Edge], None] | None = None
        with gpio_errors(self.name):
            self._device = gpiozero.DigitalInputDevice(pin, pull_up=True, bounce_time=None, pin_factory=factory)

    def start(self, on_edge: Callable[[Edge], None]) -> None:
        """Deliver edges from now on."""
        self._on_edge = on_edge
        self._device.when_activated = self._low
        self._device.when_deactivated = self._high

    def level(self) -> bool:
        """Read the pin."""
        return bool(self._device.is_active) is not self._normally_closed

    def close(self) -> None:
        """Let the pin go."""
        self._on_edge = None
        self._device.close()

    def _low(self) -> None:
        self._edge(not self._normally_closed)

    def _high(self) -> None:
        self._edge(self._normally_closed)

    def _edge(self, active: bool) -> None:
        on_edge = self._on_edge
        if on_edge is not None:
            on_edge(Edge(active, time.monotonic()))


class gpio_errors:
    """Turns gpiozero's errors about *what* into :exc:`HardwareFault` in words."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, gpiozero.GPIOZeroError):
            raise HardwareFault(f"{self._what}: cannot be used: {error}") from None
