"""A desk and a bed as processes of their own, at the product's own pace, without camera and sound."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from websockets.asyncio.client import connect

from kiosk import settings
from kiosk.demo.ward import BedProcess, DeskProcess, Ward
from kiosk.settings import Settings
from kiosk.signaling import messages as wire
from tests.desks import BED, SEATS, Peer
from tests.waiting import until


class Processes:
    """What a test holds of them."""

    def __init__(self, ward: Ward, desk: DeskProcess, bed: BedProcess) -> None:
        self.ward = ward
        self.desk = desk
        self.bed = bed

    def shown(self) -> list[str]:
        """What the bed has shown, in order."""
        return [moment.event.split()[1] for moment in self.bed.moments() if moment.event.startswith("shows ")]

    async def shows(self, prompt: str, *, times: int = 1) -> None:
        """Wait until the bed shows *prompt*, for at least the time that *times* says."""
        await until(
            lambda: self.shown()[-1:] == [prompt] and self.shown().count(prompt) >= times,
            f"the bed shows {prompt!r}",
        )

    @contextlib.asynccontextmanager
    async def seat(self) -> AsyncIterator[Peer]:
        """A seat that looks at its board and takes no calls."""
        address = self.desk.url.replace("http", "ws", 1) + "ws"
        async with connect(address, proxy=None, ping_interval=None) as socket:
            seat = Peer(socket)
            login = wire.Login(
                user_id="nurse-1",
                sdk_app_id=self.ward.settings.desk.sdk_app_id,
                user_sig=self.ward.registry().issue("nurse-1", now=int(time.time())),
            )
            await seat.says(login)
            await seat.hears(wire.LoginOk)
            yield seat


@contextlib.asynccontextmanager
async def processes_running(folder: Path) -> AsyncIterator[Processes]:
    """A desk, and a bed that is connected."""
    ward = Ward(
        folder,
        Settings(
            signaling=settings.Signaling(user_id=BED),
            buttons=settings.Buttons(simulated=True),
            audio=settings.Audio(microphone="none", speaker="none"),
            video=settings.Video(camera="none"),
            desk=settings.Desk(port=0, seats=SEATS),
        ),
    )
    ward.prepare()
    desk = await ward.start_desk()
    try:
        ward.bed_settings(desk.url)
        bed = await ward.start_bed()
        try:
            running = Processes(ward, desk, bed)
            await running.shows("ready")
            yield running
        finally:
            await bed.stop()
    finally:
        await desk.stop()


@contextlib.contextmanager
def asleep(process: asyncio.subprocess.Process) -> Iterator[None]:
    """*process* stands still, as when the lid of a laptop is closed."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)
