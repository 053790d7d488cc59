"""A ward of real processes whose desk and bed can be killed at any moment, as by a power cut."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
from websockets.asyncio.client import connect

from kiosk.bedside.journal import Kept, scan
from kiosk.bedside.journal_file import FILE_NAME
from kiosk.demo.robot import Robot
from kiosk.demo.run import demo_settings
from kiosk.demo.ward import BedProcess, DeskProcess, Ward
from kiosk.signaling import messages as wire
from tests.desks import Peer
from tests.waiting import until

ROBOT, WATCHER = "nurse-1", "nurse-2"


class KilledWard:
    """One desk, one bed. Use as ``async with``; everything that still runs is stopped at the end."""

    def __init__(self, folder: Path, **desk: Any) -> None:
        made = demo_settings(port=0, auto=True)
        changed = msgspec.structs.replace(made.desk, **desk)
        self._ward = Ward(folder / "ward", msgspec.structs.replace(made, desk=changed))
        self._seen = 0
        self._url = ""
        self.desk: DeskProcess | None = None
        self.bed: BedProcess | None = None

    async def __aenter__(self) -> KilledWard:
        self._ward.prepare()
        await self.desk_starts()
        await self.bed_starts()
        await self.shows("ready")
        return self

    async def __aexit__(self, *raised: object) -> None:
        for process in (self.bed, self.desk):
            if process is not None:
                await process.stop()

    @property
    def state(self) -> Path:
        """The folder of the bed's journal."""
        return self._ward.folder / self._ward.settings.state.folder

    @property
    def bed_user(self) -> str:
        """Who the bed is at the desk."""
        return self._ward.settings.signaling.user_id

    # -- the desk

    async def desk_starts(self) -> None:
        """At the same address each time."""
        self.desk = await self._ward.start_desk()
        self._url = self.desk.url
        port = int(self._url.rstrip("/").rpartition(":")[2])
        desk = msgspec.structs.replace(self._ward.settings.desk, port=port)
        self._ward = Ward(self._ward.folder, msgspec.structs.replace(self._ward.settings, desk=desk))
        self._ward.prepare()

    def kill_desk(self) -> None:
        assert self.desk is not None
        self.desk.process.kill()

    async def desk_is_gone(self) -> None:
        assert self.desk is not None
        await self.desk.process.wait()

    async def desk_has(self, **wanted: Any) -> wire.RequestView:
        """The request on a seat's board, as soon as it is as *wanted*."""
        async with connect(self._url.replace("http", "ws", 1) + "ws", proxy=None) as socket:
            peer = Peer(socket)
            user_sig = self._ward.registry().issue(WATCHER, now=int(time.time()))
            app = self._ward.settings.desk.sdk_app_id
            await peer.says(wire.Login(user_id=WATCHER, sdk_app_id=app, user_sig=user_sig))
            return await peer.sees(**wanted)

    def robot(self, user_id: str = ROBOT) -> Robot:
        """A nurse who does what she is told."""
        link = self._ward.seat_link(self._url, user_id)
        return Robot(self._url, link.partition("#code=")[2])

    # -- the bed

    async def bed_starts(self) -> None:
        self._ward.bed_settings(self._url)
        self._seen = len(self.bed.moments()) if self.bed is not None else 0
        self.bed = await self._ward.start_bed()

    def kill_bed(self) -> None:
        assert self.bed is not None
        self.bed.process.kill()

    async def bed_is_gone(self) -> None:
        assert self.bed is not None
        await self.bed.process.wait()

    def hand(self, line: str = "call tap") -> None:
        assert self.bed is not None
        self.bed.hand(line)

    def shown(self) -> list[str]:
        """The prompts since the bed started last."""
        assert self.bed is not None
        events = [moment.event for moment in self.bed.moments()[self._seen :]]
        return [event.removeprefix("shows ") for event in events if event.startswith("shows ")]

    async def shows(self, prompt: str) -> None:
        await until(lambda: self.shown()[-1:] == [prompt], f"the bed shows {prompt}; it showed {self.shown()}")

    async def has_shown(self, prompt: str) -> None:
        await until(lambda: prompt in self.shown(), f"the bed shows {prompt}; it showed {self.shown()}")

    def take_the_disk_away(self) -> None:
        """Where the folder was, there is a file: nothing can be kept, whoever runs the bed."""
        shutil.rmtree(self.state)
        self.state.write_text("not a folder")

    def on_disk(self) -> Kept:
        """What would survive now."""
        return scan((self.state / FILE_NAME).read_bytes()).kept(now=round(time.time() * 1000))

    async def request_on_disk(self, presses: int) -> str:
        """Wait until so many presses are on the disk; returns the request's id."""

        def pressed() -> int:
            request = self.on_disk().request if (self.state / FILE_NAME).exists() else None
            return request.presses if request is not None else 0

        await until(lambda: pressed() == presses, f"{presses} presses on the disk")
        request = self.on_disk().request
        assert request is not None
        return request.request_id
