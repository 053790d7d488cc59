"""Breaks simulated hardware, part by part: for trying out what the bed, the desk and ``kiosk check`` say of it.

Any thread: each fault is one assignment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import get_args

from gpiozero.pins.mock import MockFactory

from kiosk.errors import KioskError
from kiosk.hardware.camera import Camera
from kiosk.hardware.microphone import Microphone
from kiosk.hardware.moving_picture import MovingPicture, Sight
from kiosk.hardware.pins import SimulatedPin
from kiosk.hardware.room import RoomMicrophone
from kiosk.hardware.speaker import SimulatedSpeaker, Speaker

PIN_FAULTS: Mapping[str, bool | None] = {"shorted-low": False, "shorted-high": True, "mended": None}


class SimulatedFaults:
    """What can be broken of one bed's simulated devices. *pins* names the pins that can have a short
    circuit: ``{"lamp": 18}``."""

    def __init__(
        self,
        factory: MockFactory,
        pins: Mapping[str, int | str],
        *,
        camera: Camera | None,
        microphone: Microphone | None,
        speaker: Speaker | None,
    ) -> None:
        self._ways: dict[str, dict[str, Callable[[], None]]] = {}
        for name, number in pins.items():
            if isinstance(number, int):
                pin: SimulatedPin = factory.pin(number)
                self._ways[name] = {
                    how: partial(setattr, pin, "shorted_to", level) for how, level in PIN_FAULTS.items()
                }
        if isinstance(camera, MovingPicture):
            self._ways["camera"] = {sight: partial(setattr, camera, "sight", sight) for sight in get_args(Sight)}
        if isinstance(microphone, RoomMicrophone):
            self._ways["microphone"] = {
                "muted": partial(setattr, microphone, "muted", True),
                "mended": partial(setattr, microphone, "muted", False),
            }
        if isinstance(speaker, SimulatedSpeaker):
            self._ways["speaker"] = {
                "unplugged": partial(setattr, speaker, "unplugged", True),
                "mended": partial(setattr, speaker, "unplugged", False),
                "stalled": speaker.stall,
            }

    @property
    def parts(self) -> tuple[str, ...]:
        """What can be broken."""
        return tuple(self._ways)

    def break_it(self, part: str, how: str) -> None:
        """Let *part* fail in the way *how*. Raises :exc:`KioskError` that says what there is to break."""
        ways = self._ways.get(part)
        if ways is None:
            raise KioskError(f"{part!r} is no simulated part here: there are {', '.join(self._ways)}")
        if how not in ways:
            raise KioskError(f"{part} cannot be {how!r}: use {', '.join(ways)}")
        ways[how]()
