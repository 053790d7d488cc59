"""What systemd hears from a bed, over a real notification socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kiosk import settings
from kiosk.notify import Notifier
from kiosk.settings import Settings, save
from tests.waiting import HANG_S, until

NOBODY_LISTENS = 1
"""TCP port 1 (tcpmux) of this machine."""

QUIET_S = 1.0


class Systemd:
    """The other end of ``NOTIFY_SOCKET``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))

    def hears(self) -> list[str]:
        """What has come since the last look: a datagram is there as soon as it is sent."""
        heard: list[str] = []
        while True:
            try:
                heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return heard

    async def until(self, told: str, *, times: int = 1) -> None:
        """Wait until *told* has been heard so often, whatever came before and between."""
        async with asyncio.timeout(HANG_S):
            while self.heard.count(told) < times:
                self.heard.append((await asyncio.get_running_loop().sock_recv(self._socket, 4096)).decode())

    async def no_more(self, told: str) -> None:
        """Wait until *told* has not been heard for ``QUIET_S``, which is many times as long as between two."""
        async with asyncio.timeout(HANG_S):
            with contextlib.suppress(_Quiet):
                while True:
                    await self._again(told)

    async def _again(self, told: str) -> None:
        try:
            async with asyncio.timeout(QUIET_S):
                await self.until(told, times=self.heard.count(told) + 1)
        except TimeoutError:
            raise _Quiet from None

    def stands_still(self) -> None:
        """It reads nothing, and has been sent so much already that no more goes in."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, contextlib.suppress(BlockingIOError):
            other.setblocking(False)
            while True:
                other.sendto(b"STATUS=another service's", str(self.path))

    def close(self) -> None:
        self._socket.close()


class _Quiet(Exception):
    """Nothing was heard for ``QUIET_S``."""


@pytest.fixture(autouse=True)
def not_started_by_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    started = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(started.path))
    yield started
    started.close()


def say_everything(notifier: Notifier) -> None:
    notifier.ready()
    notifier.status("尚未连接，请使用另一个呼叫铃。")
    notifier.alive()
    notifier.stopping()


def test_systemd_hears_each_word_as_it_is_said(systemd: Systemd) -> None:
    say_everything(Notifier())
    assert systemd.hears() == [
        "READY=1",
        "STATUS=尚未连接，请使用另一个呼叫铃。",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_a_bed_that_systemd_did_not_start_says_nothing_and_misses_nothing(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET")
    monkeypatch.setitem(sys.modules, "systemd.daemon", None)
    notifier = Notifier()
    say_everything(notifier)
    assert systemd.hears() == []
    assert notifier.watchdog_s is None
    assert not caplog.records


def test_without_systemd_python_a_bed_warns_and_works(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "systemd.daemon", None)
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    notifier = Notifier()
    assert "systemd-python is missing" in caplog.text
    say_everything(notifier)
    assert systemd.hears() == []
    assert notifier.watchdog_s is None


@pytest.mark.parametrize("pid", ["", str(os.getpid())], ids=["any", "this"])
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch, pid: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    if pid:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    assert Notifier().watchdog_s == 10.0


def test_the_watchdog_of_another_process_is_not_fed(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    assert Notifier().watchdog_s is None


@pytest.mark.parametrize("microseconds", [None, "", "0", "soon", "-5"])
def test_without_a_watchdog_none_is_fed(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch, microseconds: str | None
) -> None:
    if microseconds is not None:
        monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    assert Notifier().watchdog_s is None


async def test_a_systemd_that_went_away_is_told_once_and_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notifier = Notifier()
    notifier.ready()
    notifier.alive()
    assert len(caplog.records) == 1


async def test_what_was_said_while_systemd_did_not_read_is_kept_but_for_that_we_lived_then(
    systemd: Systemd, caplog: pytest.LogCaptureFixture
) -> None:
    systemd.stands_still()
    notifier = Notifier()
    notifier.ready()
    notifier.status("not connected")
    notifier.alive()
    notifier.alive()
    notifier.status("connected")
    assert [record.getMessage() for record in caplog.records] == [
        "x systemd does not hear us: [Errno 11] it does not read what it is sent"
    ]
    assert not any(word.startswith("READY") for word in systemd.hears())
    await systemd.until("STATUS=connected")
    assert systemd.heard == ["READY=1", "STATUS=connected"]
    notifier.alive()
    await systemd.until("WATCHDOG=1")


def test_a_socket_without_a_file_is_heard_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = tmp_path.as_posix()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        Notifier().ready()
        assert systemd.recv(4096, socket.MSG_DONTWAIT) == b"READY=1"


# -- a real bed


@pytest.fixture
async def bed(systemd: Systemd, tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A bed process as systemd starts it, whose desk cannot be reached."""
    save(
        Settings(
            bed=settings.Bed(language="en"),
            signaling=settings.Signaling(url=f"ws://127.0.0.1:{NOBODY_LISTENS}/ws"),
            buttons=settings.Buttons(simulated=True),
            audio=settings.Audio(microphone="none", speaker="none"),
            video=settings.Video(camera="none"),
        ),
        tmp_path / "kiosk.toml",
    )
    with (tmp_path / "bed.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kiosk", "run", "--settings", str(tmp_path / "kiosk.toml"), "--hand"),
            stdin=asyncio.subprocess.PIPE,
            stderr=log,
            env=os.environ | {"WATCHDOG_USEC": "200000"},
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def tap(bed: asyncio.subprocess.Process) -> None:
    """Press the call button."""
    assert bed.stdin is not None
    bed.stdin.write(b"call tap\n")


async def test_a_bed_is_ready_before_its_desk_is_reached_and_says_that_it_is_not(
    bed: asyncio.subprocess.Process, systemd: Systemd
) -> None:
    await systemd.until("READY=1")
    await systemd.until("STATUS=Not connected. Please use the other bell.")
    tap(bed)
    await systemd.until(
        "STATUS=We heard you, but nobody can be reached. Please use the other bell. We keep trying."
    )


@pytest.fixture
def no_reader(systemd: Systemd) -> None:
    """Before the bed is started."""
    systemd.stands_still()


async def test_a_bed_works_while_systemd_reads_nothing_and_is_ready_when_it_does(
    no_reader: None, bed: asyncio.subprocess.Process, systemd: Systemd, tmp_path: Path
) -> None:
    log = tmp_path / "bed.log"
    await until(lambda: "Connect call failed" in log.read_text(), "the bed tries to reach its desk")
    tap(bed)
    await until(lambda: "idle → unsent" in log.read_text(), "the bed takes the press")
    assert not any(word.startswith("READY") for word in systemd.hears())
    await systemd.until("READY=1")


@pytest.fixture
def no_disk(tmp_path: Path) -> None:
    """A file where the journal's folder should be."""
    (tmp_path / "state").write_text("not a folder")


async def test_a_bed_that_can_keep_nothing_works_and_says_so(
    no_disk: None, bed: asyncio.subprocess.Process, systemd: Systemd
) -> None:
    fault = "[journal: cannot be written: Not a directory]"
    await systemd.until(f"STATUS=Not connected. Please use the other bell. {fault}")
    tap(bed)
    heard = "We heard you, but nobody can be reached. Please use the other bell. We keep trying."
    await systemd.until(f"STATUS={heard} {fault}")


async def test_a_bed_feeds_the_watchdog_while_its_desk_cannot_be_reached(
    bed: asyncio.subprocess.Process, systemd: Systemd
) -> None:
    await systemd.until("READY=1")
    await systemd.until("WATCHDOG=1", times=3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_bed_told_to_stop_says_so_and_ends_in_order(
    bed: asyncio.subprocess.Process, systemd: Systemd, number: signal.Signals, tmp_path: Path
) -> None:
    await systemd.until("READY=1")
    bed.send_signal(number)
    await systemd.until("STOPPING=1")
    assert await asyncio.wait_for(bed.wait(), HANG_S) == 0
    assert "Traceback" not in (tmp_path / "bed.log").read_text()
