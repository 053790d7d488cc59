"""What is around a bed is looked at as it is: a real desk, a real folder, this machine's interfaces."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ifaddr
import pytest

from kiosk.check import probes
from kiosk.check.around import Interface
from kiosk.desk.certificate import LIFE_DAYS
from kiosk.errors import Refused
from kiosk.files import write_secret
from kiosk.signaling import messages as wire
from kiosk.signaling.desk_login import Ticket, try_login
from tests.beds import bed_connecting
from tests.desks import BED, RunningDesk, desk_running, help_wanted
from tests.waiting import until

DAY_S = 24 * 3600


def ticket_at(url: str, user_sig: str, ca_file: Path | None = None) -> Ticket:
    return Ticket(url, ca_file, BED, 1400000000, lambda: user_sig)


# -- the desk's door


async def test_a_desk_with_tls_tells_its_time_and_its_certificates_end(tmp_path: Path) -> None:
    async with desk_running(tmp_path / "desk-data", {"tls": "on"}) as desk:
        ca_file = desk.folder / "certificate.pem"
        door = await asyncio.to_thread(probes.ask_door, desk.ws_url, ca_file)
        assert door.skew_s == 0
        assert door.certificate_ends is not None
        assert LIFE_DAYS - 2 <= (door.certificate_ends - time.time()) / DAY_S <= LIFE_DAYS
        stranger = await asyncio.to_thread(probes.ask_door, desk.ws_url, None)
        assert stranger == probes.Door(), "one that is not verified is asked nothing"


async def test_a_clock_that_is_ahead_is_found_to_be(desk: RunningDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    right = time.time
    ahead = SimpleNamespace(time=lambda: right() + 400.0, monotonic=time.monotonic)
    monkeypatch.setattr(probes, "time", ahead)
    door = await asyncio.to_thread(probes.ask_door, desk.ws_url, None)
    assert door.skew_s == pytest.approx(399, abs=2)
    assert door.certificate_ends is None


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/ws", "wss://127.0.0.1:1/ws", "wss://desk.invalid/ws"])
def test_a_desk_that_is_away_tells_nothing(url: str) -> None:
    assert probes.ask_door(url, None) == probes.Door()


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Jan 2026 00:00:00 GMT"])
def test_a_date_that_is_none_is_no_time(date: str) -> None:
    assert probes._skew(date, asked_at=0.0, answered_at=0.0) is None


# -- the log-in


async def test_a_login_is_tried_without_putting_anybody_out(desk: RunningDesk) -> None:
    async with bed_connecting(desk) as bed:
        await until(lambda: bed.client.connected)
        with pytest.raises(Refused, match="signed in elsewhere"):
            await try_login(ticket_at(desk.ws_url, desk.ticket(BED)))
        assert bed.client.connected
        assert bed.kicks == []


async def test_a_login_is_tried_without_a_word_about_the_bed(desk: RunningDesk) -> None:
    bed = await desk.bed(request=help_wanted())
    await bed.socket.close()
    await until(lambda: not desk.server.relay.is_connected(BED))
    login = await try_login(ticket_at(desk.ws_url, desk.ticket(BED)))
    assert (login.user_id, login.role) == (BED, "kiosk")
    await until(lambda: not desk.server.relay.is_connected(BED))
    seat = await desk.logs_in("nurse-1")
    assert (await seat.sees()).request_id == "request-1", "the request that the desk holds is as it was"


async def test_a_login_that_is_refused_or_has_nobody_to_ask_says_why(desk: RunningDesk) -> None:
    with pytest.raises(Refused) as refused:
        await try_login(ticket_at(desk.ws_url, desk.ticket(BED, ttl_s=-1)))
    assert refused.value.code == wire.ErrorCode.SIG_EXPIRED
    with pytest.raises(ConnectionError, match="Connect call failed"):
        await try_login(ticket_at("ws://127.0.0.1:1/ws", "ticket"))
    with pytest.raises(ConnectionError, match=r"signaling\.ca_file = .* cannot be used"):
        await try_login(ticket_at("wss://127.0.0.1:1/ws", "ticket", Path("/nowhere/ca.pem")))


async def test_a_ticket_is_read_without_the_desks_key(desk: RunningDesk, tmp_path: Path) -> None:
    path = tmp_path / "user_sig"
    assert "there is no such file" in probes.read_ticket(path).fault
    write_secret(path, "garbage")
    assert "cannot be read" in probes.read_ticket(path).fault
    write_secret(path, desk.ticket(BED, issued_at=1_000, ttl_s=500))
    ticket = probes.read_ticket(path)
    assert (ticket.expires_at, ticket.fault) == (1_500, "")
    path.chmod(0o644)
    assert "can be read by others" in probes.read_ticket(path).fault


# -- the network and the clock


@pytest.fixture
def adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, list[object]]] = [
        ("lo", ["127.0.0.1"]),
        ("eth0", ["10.1.2.3", ("fe80::1", 0, 2), ("2001:db8::5", 0, 0)]),
        ("wlan0", ["169.254.3.4"]),
        ("usb0", []),
    ]
    found = [SimpleNamespace(name=name, ips=[SimpleNamespace(ip=ip) for ip in ips]) for name, ips in made]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda include_unconfigured: found)


@pytest.mark.usefixtures("adapters")
def test_interfaces_are_told_with_the_addresses_that_lead_out_and_whether_they_are_up(tmp_path: Path) -> None:
    for name, state in (("eth0", "up\n"), ("wlan0", "down\n"), ("usb0", "unknown\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "operstate").write_text(state)
    assert probes.interfaces(tmp_path) == (
        Interface("eth0", ("10.1.2.3", "2001:db8::5"), up=True),
        Interface("wlan0", (), up=False),
        Interface("usb0", (), up=None),
    )


@pytest.mark.usefixtures("adapters")
def test_a_system_that_does_not_tell_is_believed_to_be_up(tmp_path: Path) -> None:
    assert {interface.up for interface in probes.interfaces(tmp_path)} == {None}


def test_this_machine_is_looked_at_without_a_fault() -> None:
    assert all(interface.name != "lo" for interface in probes.interfaces())
    assert probes.synchronised() in (True, False, None)


@pytest.mark.parametrize(("answer", "kept"), [(0, True), (5, False), (-1, None)])
def test_the_kernel_tells_whether_the_clock_is_kept(
    answer: int, kept: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def library(name: Any) -> Any:
        return SimpleNamespace(adjtimex=lambda buffer: answer)

    monkeypatch.setattr(ctypes, "CDLL", library)
    assert probes.synchronised() is kept


def test_a_system_without_that_call_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    assert probes.synchronised() is None


# -- the disk


def test_a_disk_is_written_to_and_left_as_it_was(tmp_path: Path) -> None:
    disk = probes.probe_disk(tmp_path, tmp_path / "journal")
    assert disk.fault == ""
    assert disk.free_mb > 0
    assert disk.sync_s > 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_a_fault_and_is_not_made(tmp_path: Path) -> None:
    disk = probes.probe_disk(tmp_path / "state", tmp_path / "state" / "journal")
    assert "is not there; kiosk run makes it at its first start" in disk.fault
    assert not (tmp_path / "state").exists()


def test_a_file_in_the_way_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / probes.PROBE_NAME).symlink_to(victim)
    assert probes.probe_disk(folder, folder / "journal").fault.endswith("Too many levels of symbolic links")
    assert victim.read_text() == "precious"


def test_a_journal_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = tmp_path / "journal"
    journal.write_text("")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert probes.probe_disk(tmp_path, journal).fault == f"{journal}: Permission denied"


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Files may not grow at all: as near to a full disk as a test comes without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_a_fault_in_its_own_words(tmp_path: Path) -> None:
    assert probes.probe_disk(tmp_path, tmp_path / "journal").fault == f"{tmp_path}: {os.strerror(errno.EFBIG)}"
    assert list(tmp_path.iterdir()) == []
