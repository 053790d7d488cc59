"""The watchdog of a real bed starves when one of its paths stands still, whichever, and is fed when it moves."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kiosk import settings
from kiosk.bedside import debounce, progress
from kiosk.demo.robot import Robot
from kiosk.demo.ward import Ward
from kiosk.hardware.button import Button, Edge
from kiosk.hardware.speaker import SimulatedSpeaker
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.notify import Notifier
from kiosk.signaling import client, desk_login
from kiosk.signaling.messages import CallType
from tests.bedsides import RunningBedside, bed_settings, bedside_running
from tests.contract.test_notify import Systemd
from tests.desks import BED, SEATS
from tests.waiting import HANG_S

pytestmark = pytest.mark.promise("R11")

FED = "WATCHDOG=1"


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    """systemd, which wants to be told twice in a tenth of a second that the bed goes on."""
    started = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(started.path))
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield started
    started.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debounce, "REREAD_S", 0.05)
    monkeypatch.setattr(progress, "BUTTON_WITHIN_S", 0.5)
    monkeypatch.setattr(progress, "SIGNALING_SLACK_S", 0.5)
    monkeypatch.setattr(progress, "AUDIO_WITHIN_S", 0.5)
    for name in ("CONNECT_TIMEOUT_S", "LOGIN_TIMEOUT_S", "CLOSE_TIMEOUT_S"):
        monkeypatch.setattr(desk_login, name, 0.1)
    for name in ("FIRST_RETRY_S", "MAX_RETRY_S"):
        monkeypatch.setattr(client, name, 0.1)


async def test_a_bed_whose_desk_is_away_is_fed(systemd: Systemd) -> None:
    async with bedside_running(bed_settings(), notifier=Notifier()):
        await systemd.until(FED, times=20)


async def test_buttons_that_nobody_looks_at_starve_it(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bedside_running(bed_settings(), notifier=Notifier()):
        await systemd.until(FED, times=3)
        monkeypatch.setattr(debounce, "REREAD_S", 10 * HANG_S)
        await systemd.no_more(FED)


async def test_signaling_that_hangs_starves_it(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.asynccontextmanager
    async def hangs(*arguments: Any, **options: Any) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    async with bedside_running(bed_settings(), notifier=Notifier()):
        await systemd.until(FED, times=3)
        monkeypatch.setattr(client, "socket_to", hangs)
        await systemd.no_more(FED)


class HangingButton(Button):
    """A button whose driver hangs when told to, and with it everything."""

    def __init__(self, button: Button) -> None:
        self.name = button.name
        self.works = threading.Event()
        self.works.set()
        self._button = button

    def start(self, on_edge: Callable[[Edge], None]) -> None:
        self._button.start(on_edge)

    def level(self) -> bool:
        assert self.works.wait(HANG_S)
        return self._button.level()

    def close(self) -> None:
        self._button.close()


async def test_a_driver_that_hangs_the_loop_starves_it_until_it_lets_go(systemd: Systemd) -> None:
    buttons: list[HangingButton] = []
    ends = threading.Event()

    def prepare(bed: RunningBedside) -> None:
        buttons.append(HangingButton(bed.devices.call_button))
        object.__setattr__(bed.devices, "call_button", buttons[0])

    async def bed() -> None:
        async with bedside_running(bed_settings(), prepare=prepare, notifier=Notifier()):
            await asyncio.to_thread(ends.wait, 2 * HANG_S)

    running = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(bed())))
    try:
        await systemd.until(FED, times=3)
        buttons[0].works.clear()
        await systemd.no_more(FED)
        buttons[0].works.set()
        await systemd.until(FED, times=systemd.heard.count(FED) + 3)
    finally:
        buttons[0].works.set()
        ends.set()
        await running


async def test_in_a_call_sound_that_stands_still_starves_it_until_the_device_is_told_as_faulty(
    systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = msgspec.structs.replace(
        bed_settings(),
        call=settings.Call(type="audio"),
        audio=settings.Audio(microphone="none", speaker="simulated"),
        media=settings.Media(interfaces=(LOOPBACK,)),
        desk=settings.Desk(port=0, seats=SEATS),
    )
    ward = Ward(tmp_path / "ward", made)
    ward.prepare()
    prepare_media(made.media.interfaces)
    with monkeypatch.context() as not_by_systemd:
        not_by_systemd.delenv("NOTIFY_SOCKET")  # only the bed is to be heard
        desk = await ward.start_desk()
    try:
        made = ward.bed_settings(desk.url)
        code = ward.seat_link(desk.url, "nurse-1").partition("#code=")[2]
        ticket = ward.registry().issue(BED, now=int(time.time()))
        async with (
            bedside_running(made, user_sig=lambda: ticket, notifier=Notifier()) as bed,
            Robot(desk.url, code, hz=660.0) as robot,
        ):
            # Unread, systemd's socket is soon full, and then the bed hangs this very loop.
            reads = asyncio.create_task(systemd.until("nothing it ever says"))
            await bed.shows("ready")
            bed.call.press()
            incoming, _ = await robot.rings()
            await robot.accept(incoming, CallType.AUDIO)
            await bed.shows("talking")
            reads.cancel()
            await asyncio.gather(reads, return_exceptions=True)
            await systemd.until(FED, times=systemd.heard.count(FED) + 20)
            speaker = bed.devices.speaker
            assert isinstance(speaker, SimulatedSpeaker)
            speaker.stall()
            await systemd.no_more(FED)
            await systemd.until(FED, times=systemd.heard.count(FED) + 3)
            assert bed.shown[-1] == "talking"
    finally:
        await desk.stop()
