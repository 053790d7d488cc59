"""Looks at what is around the bed: network, clock, disk, and the desk's door.

Blocking, each bounded by a time-out or by the system; on any thread but the event loop's. What is found is judged
in ``around.py``.
"""

from __future__ import annotations

import contextlib
import ctypes
import email.utils
import errno
import http.client
import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import ifaddr

from kiosk.check.around import Clock, Disk, Interface, Ticket, skew
from kiosk.errors import CredentialError, SettingsError
from kiosk.files import read_secret
from kiosk.signaling.desk_login import tls_context
from kiosk.usersig import read

DOOR_TIMEOUT_S = 5.0
PROBE_BYTES = 4096
PROBE_NAME = ".self_test.tmp"
TIMEX_BYTES = 512
"""``struct timex`` (adjtimex(2)) has 208 at most."""
TIME_ERROR = 5
"""adjtimex's answer when no time server keeps the clock."""
NETWORKS = Path("/sys/class/net")
MB = 1024 * 1024


def interfaces(networks: Path = NETWORKS) -> tuple[Interface, ...]:
    """All but loopback, with their addresses."""
    found = []
    for adapter in ifaddr.get_adapters(include_unconfigured=True):
        if adapter.name == "lo":
            continue
        addresses = tuple(entry.ip if isinstance(entry.ip, str) else entry.ip[0] for entry in adapter.ips)
        shown = tuple(address for address in addresses if not address.startswith(("fe80:", "169.254.")))
        found.append(Interface(adapter.name, shown, _is_up(networks / adapter.name)))
    return tuple(found)


def _is_up(interface: Path) -> bool | None:
    with contextlib.suppress(OSError):
        return {"up": True, "down": False, "lowerlayerdown": False}.get(
            (interface / "operstate").read_text().strip()
        )
    return None


def synchronised() -> bool | None:
    """Whether a time server keeps the clock; None where the system does not tell."""
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else bool(answer != TIME_ERROR)


@dataclass(frozen=True)
class Door:
    """The desk's web door: its time and its certificate's end, where they could be had."""

    skew_s: float | None = None
    certificate_ends: float | None = None

    def clock(self) -> Clock:
        """What is known of the time."""
        return Clock(skew_s=self.skew_s, synchronised=synchronised())


def ask_door(url: str, ca_file: Path | None) -> Door:
    """Ask the desk at *url* (the settings' ``signaling.url``) for its health, and look at the answer's head."""
    host = url.partition("://")[2].removesuffix("/ws")
    try:
        tls = tls_context(url, ca_file)
        connection = (
            http.client.HTTPConnection(host, timeout=DOOR_TIMEOUT_S)
            if tls is None
            else http.client.HTTPSConnection(host, timeout=DOOR_TIMEOUT_S, context=tls)
        )
        with contextlib.closing(connection):
            return _asked(connection)
    except (OSError, http.client.HTTPException, SettingsError):
        return Door()  # why, the log-in tells in words


def _asked(connection: http.client.HTTPConnection) -> Door:
    connection.connect()
    ends = None
    if isinstance(connection.sock, ssl.SSLSocket):
        told = (connection.sock.getpeercert() or {}).get("notAfter")
        ends = float(ssl.cert_time_to_seconds(told)) if isinstance(told, str) else None
    asked_at = time.time()
    connection.request("GET", "/healthz", headers={"Connection": "close"})
    answer = connection.getresponse()
    return Door(_skew(answer.headers.get("Date", ""), asked_at=asked_at, answered_at=time.time()), ends)


def _skew(date: str, *, asked_at: float, answered_at: float) -> float | None:
    try:
        told = email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
    return skew(asked_at=asked_at, answered_at=answered_at, told=told)


def read_ticket(path: Path) -> Ticket:
    """The UserSig in the file *path*."""
    try:
        return Ticket(expires_at=read(read_secret(path)).expires_at)
    except (SettingsError, CredentialError) as error:
        return Ticket(fault=str(error))


def probe_disk(folder: Path, journal: Path) -> Disk:
    """Write something in *folder* that is really on the disk, and look whether *journal* in it may be written."""
    if not folder.is_dir():
        return Disk(fault=f"{folder}: is not there; kiosk run makes it at its first start")
    try:
        began = time.monotonic()
        _write_and_sync(folder / PROBE_NAME)
        sync_s = time.monotonic() - began
        if journal.exists() and not os.access(journal, os.W_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(journal))
        room = os.statvfs(folder)
    except OSError as error:
        return Disk(fault=f"{error.filename or folder}: {error.strerror}")
    return Disk(free_mb=room.f_bavail * room.f_frsize / MB, sync_s=sync_s)


def _write_and_sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, bytes(PROBE_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
