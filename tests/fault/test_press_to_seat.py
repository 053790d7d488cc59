"""From the button to lamp and seat: each of some hundred presses, over a real desk process and real beds."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import connect

from kiosk import settings
from kiosk.bedside.journal import Kept
from kiosk.bedside.journal_file import JournalFile
from kiosk.demo.ward import DeskProcess, Ward
from kiosk.hardware.lamp import Lamp, LampPattern
from kiosk.settings import Settings
from kiosk.signaling import messages as wire
from kiosk.signaling.client import Client
from tests.bedsides import RunningBedside, bed_settings, bedside_running
from tests.desks import SEATS, Peer
from tests.waiting import until

pytestmark = pytest.mark.promise("R03")

BEDS, PRESSES_EACH = 6, 50
PRESSES_ALONE = 30
WITHIN_S = 5.0
"""The requirement (facts/nurse-call §7), and generous: nearly all are there after a tenth of a second."""


class Hospital:
    """A desk in a process of its own, and what a seat there sees."""

    def __init__(self, ward: Ward, desk: DeskProcess) -> None:
        self._ward = ward
        self._url = desk.url.replace("http", "ws", 1) + "ws"
        self._asking: frozenset[str] = frozenset()

    def _ticket(self, user_id: str) -> str:
        return self._ward.registry().issue(user_id, now=int(time.time()))

    def sees(self, user_id: str) -> bool:
        """Whether the seat's newest board has a request of this bed."""
        return user_id in self._asking

    async def watch(self) -> None:
        """Be a seat that only looks on, until cancelled."""
        async with connect(self._url, proxy=None) as socket:
            seat = Peer(socket)
            app = self._ward.settings.desk.sdk_app_id
            await seat.says(wire.Login(user_id="nurse-1", sdk_app_id=app, user_sig=self._ticket("nurse-1")))
            while True:
                board = await seat.hears(wire.Board)
                self._asking = frozenset(request.bed_user for request in board.requests)

    @contextlib.asynccontextmanager
    async def bed(self, user_id: str) -> AsyncIterator[RunningBedside]:
        """A whole bed with simulated pins, connected."""
        made = bed_settings(self._url)
        made = msgspec.structs.replace(made, signaling=msgspec.structs.replace(made.signaling, user_id=user_id))
        ticket = self._ticket(user_id)
        async with bedside_running(made, user_sig=lambda: ticket) as bed:
            await bed.shows("ready")
            yield bed


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncIterator[Hospital]:
    ward = Ward(tmp_path, Settings(desk=settings.Desk(port=0, wrap_up=0.0, seats=SEATS)))
    ward.prepare()
    desk = await ward.start_desk()
    hospital = Hospital(ward, desk)
    watching = asyncio.create_task(hospital.watch())
    yield hospital
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await desk.stop()


async def ask(hospital: Hospital, user_id: str, presses: int) -> None:
    """A patient presses, a nurse comes, and so on."""
    async with hospital.bed(user_id) as bed:
        for _ in range(presses):
            bed.call.tap(0.0)
            async with asyncio.timeout(WITHIN_S):
                await until(lambda: hospital.sees(user_id), "the press is at the seat")
            bed.attend.tap(0.0)
            await bed.shows("ready")
            await until(lambda: not hospital.sees(user_id), "the seat sees that it is attended")


async def test_each_of_some_hundred_presses_is_at_the_seat_within_five_seconds(hospital: Hospital) -> None:
    async with asyncio.TaskGroup() as patients:
        for number in range(BEDS):
            patients.create_task(ask(hospital, f"bed-{number}", PRESSES_EACH))


def noting(
    note: Callable[[str], None], what: str, act: Callable[..., Any], *, counts: Callable[[Any], bool]
) -> Callable[..., Any]:
    """*act*, a method of one argument, and before it says *what*, where the argument *counts*."""

    def noted(self: Any, argument: Any) -> Any:
        if counts(argument):
            note(what)
        return act(self, argument)

    return noted


def holds_a_request(kept: Kept) -> bool:
    """That the request before was closed may be written yet."""
    return kept.request is not None


def asks(message: wire.Message) -> bool:
    return isinstance(message, wire.Request)


def note_the_light(bed: RunningBedside, lamp: Lamp) -> Callable[[LampPattern], None]:
    show = lamp.show

    def shown(pattern: LampPattern) -> None:
        show(pattern)
        bed.notes("dark" if pattern is LampPattern.OFF else "lit")

    return shown


async def test_the_lamp_is_lit_before_a_press_is_written_or_sent(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital.bed("bed-0") as bed:
        monkeypatch.setattr(bed.devices.lamp, "show", note_the_light(bed, bed.devices.lamp))
        monkeypatch.setattr(
            JournalFile, "write", noting(bed.notes, "writes", JournalFile.write, counts=holds_a_request)
        )
        monkeypatch.setattr(Client, "send", noting(bed.notes, "sends", Client.send, counts=asks))
        for _ in range(PRESSES_ALONE):
            before = len(bed.traced)
            bed.call.tap(0.0)
            await until(lambda: hospital.sees("bed-0"), "the press is at the seat")
            told = [event for event in bed.traced[before:] if event in ("edge", "lit", "writes", "sends")]
            assert told[:4] == ["edge", "lit", "writes", "sends"]
            bed.attend.tap(0.0)
            await bed.shows("ready")
            await until(lambda: not hospital.sees("bed-0"), "the seat sees that it is attended")
