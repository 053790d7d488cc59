"""A whole bed in the test's own process: the real service with simulated pins, no camera and no sound."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
from gpiozero.pins.mock import MockFactory

from kiosk import settings
from kiosk.bedside.devices import Devices, choose_devices
from kiosk.bedside.journal_file import JournalFile
from kiosk.bedside.request_events import View
from kiosk.bedside.service import Bedside
from kiosk.bedside.watchers import Watchers
from kiosk.hardware.pins import simulated_pins
from kiosk.hardware.simulated_finger import SimulatedFinger
from kiosk.notify import Notifier
from kiosk.settings import Settings
from tests.desks import BED
from tests.waiting import until

NOBODY_LISTENS = "ws://127.0.0.1:1/ws"
"""TCP port 1 (tcpmux) of this machine."""


class RunningBedside:
    """What a test holds of a bed that runs."""

    def __init__(self, settings: Settings, pins: MockFactory) -> None:
        self.settings = settings
        self.pins = pins
        self.devices: Devices = choose_devices(settings, factory=pins)
        self.shown: list[str] = []
        """The prompts, in order, each when it came or was said again."""
        self.traced: list[str] = []
        self.running: asyncio.Task[None] | None = None

    @property
    def call(self) -> SimulatedFinger:
        """A finger at the call button."""
        return SimulatedFinger(self.pins, self.settings.buttons.call_pin, bounces=0)

    @property
    def attend(self) -> SimulatedFinger:
        """A finger at the presence button."""
        pin = self.settings.buttons.attend_pin
        assert pin != "none"
        return SimulatedFinger(self.pins, pin, bounces=0)

    @property
    def relay_closed(self) -> bool:
        """Whether the other bell rings."""
        assert self.devices.relay is not None
        return self.devices.relay.closed

    async def shows(self, prompt: str) -> None:
        """Wait until it shows *prompt*."""
        await until(lambda: self.shown[-1:] == [prompt], f"the bed shows {prompt!r}, not {self.shown[-1:]}")

    def sees(self, view: View, told: str) -> None:
        self.shown.append(view.prompt)

    def notes(self, event: str, call_id: str = "", *, ago: float = 0.0) -> None:
        self.traced.append(event)


def bed_settings(url: str = NOBODY_LISTENS, **buttons: object) -> Settings:
    """A bed with simulated pins and no media."""
    return Settings(
        signaling=settings.Signaling(url=url, user_id=BED),
        buttons=msgspec.structs.replace(settings.Buttons(simulated=True), **buttons),
        relay=settings.Relay(pin=23),
        audio=settings.Audio(microphone="none", speaker="none"),
        video=settings.Video(camera="none"),
    )


@contextlib.contextmanager
def _pins() -> Iterator[MockFactory]:
    pins = simulated_pins()
    yield pins
    pins.close()


@contextlib.asynccontextmanager
async def bedside_running(
    settings: Settings,
    *,
    user_sig: Callable[[], str] = lambda: "ticket",
    prepare: Callable[[RunningBedside], None] = lambda bed: None,
    notifier: Notifier | None = None,
    journal: JournalFile | None = None,
    folder: Path | None = None,
) -> AsyncIterator[RunningBedside]:
    """A bed that runs; *prepare* is called before it starts. *folder* is where its settings file would be."""
    with _pins() as pins, tempfile.TemporaryDirectory(prefix="kiosk-bed-") as temporary:
        bed = RunningBedside(settings, pins)
        prepare(bed)
        service = Bedside(
            settings,
            bed.devices,
            journal=journal or JournalFile(Path(temporary)),
            user_sig=user_sig,
            folder=folder or Path(temporary),
            watchers=Watchers(view=bed.sees, trace=bed.notes),
            notifier=notifier,
        )
        bed.running = asyncio.create_task(service.run())
        try:
            yield bed
        finally:
            bed.running.cancel()
            await asyncio.gather(bed.running, return_exceptions=True)
