"""What systemd hears from a desk, over a real notification socket."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kiosk import settings
from kiosk.demo.ward import Ward
from kiosk.desk import peer, peer_session, writers
from kiosk.settings import Settings
from kiosk.signaling import messages as wire
from tests.contract.test_notify import Systemd
from tests.desks import SEATS, RunningDesk, desk_running
from tests.waiting import HANG_S, until

pytestmark = pytest.mark.promise("R11")

FED = "WATCHDOG=1"


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    started = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(started.path))
    monkeypatch.setenv("WATCHDOG_USEC", "600000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield started
    started.close()


@contextlib.asynccontextmanager
async def watched_desk(systemd: Systemd, folder: Path) -> AsyncIterator[RunningDesk]:
    """A desk; systemd is read while it ends: its socket, unread, is soon full, and hangs this very loop."""
    async with desk_running(folder) as desk:
        try:
            yield desk
        finally:
            reads = asyncio.create_task(systemd.until("nothing it ever says"))
    reads.cancel()


async def test_a_desk_process_says_ready_when_it_listens_is_fed_and_says_that_it_stops(
    systemd: Systemd, tmp_path: Path
) -> None:
    ward = Ward(tmp_path / "ward", Settings(desk=settings.Desk(port=0, seats=SEATS)))
    ward.prepare()
    running = await ward.start_desk()
    try:
        await systemd.until("READY=1")
        await systemd.until(f"STATUS=listening at {running.url}")
        await systemd.until(FED, times=3)
        running.process.send_signal(signal.SIGTERM)
        await systemd.until("STOPPING=1")
        assert await asyncio.wait_for(running.process.wait(), HANG_S) == 0
    finally:
        await running.stop()


async def test_a_desk_is_fed_while_its_connections_are_written_to(
    systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_session, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(writers, "WITHIN_S", 0.5)
    async with watched_desk(systemd, tmp_path / "desk-data") as desk:
        seat = await desk.seat()
        reads = asyncio.create_task(seat.is_closed())
        await systemd.until(FED, times=systemd.heard.count(FED) + 5)
        reads.cancel()


async def test_a_desk_from_which_nothing_goes_out_starves_until_something_does(
    systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_session, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(peer_session, "BEATS_UNANSWERED", 10**6)
    monkeypatch.setattr(writers, "WITHIN_S", 0.5)
    async with watched_desk(systemd, tmp_path / "desk-data") as desk:
        await desk.logs_in("nurse-1")
        await systemd.until(FED, times=3)
        send, goes_on = peer.send, asyncio.Event()

        async def hangs(websocket: object, message: wire.Message) -> None:
            await goes_on.wait()
            await send(websocket, message)  # type: ignore[arg-type]  # as the desk gives it

        monkeypatch.setattr(peer, "send", hangs)
        await systemd.no_more(FED)
        goes_on.set()
        await systemd.until(FED, times=systemd.heard.count(FED) + 3)


async def test_a_desk_whose_last_connection_has_gone_is_fed(
    systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "WITHIN_S", 0.1)
    async with watched_desk(systemd, tmp_path / "desk-data") as desk:
        peer = await desk.logs_in("nurse-1")
        await peer.socket.close()
        await until(lambda: desk.server.relay.connected == 0)
        await systemd.until(FED, times=systemd.heard.count(FED) + 3)
