"""While a seat rings, camera and microphone of a real bed are not on the wire: looked at by a capture."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk.bench.chromium import page_says
from tests.datagrams import kind
from tests.e2e.conftest import Hospital, SignIn
from tests.waiting import HANG_S, until

pytestmark = [pytest.mark.browser, pytest.mark.alsa]

ALL_PROTOCOLS = 3
UDP = 17
ETHERNET = 14
REPORTS = 3
"""The bed sends one (RTCP) about each second, so that this is how long it could leak."""


class Wire:
    """What goes over loopback from or to a process: kinds of datagrams, by who sends."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ports: set[int] = set()
        self.from_it: Counter[str] = Counter()
        self.to_it: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.1)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look, name="wire")
        self._thread.start()

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        self._socket.close()

    def _look(self) -> None:
        while not self._ends.is_set():
            with contextlib.suppress(TimeoutError):
                self._take(self._socket.recv(65_536)[ETHERNET:])

    def _take(self, packet: bytes) -> None:
        if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != UDP:
            return
        head = (packet[0] & 15) * 4
        source, destination = struct.unpack_from("!HH", packet, head)
        if not {source, destination} & self._ports:
            self._ports = udp_ports(self._pid)
        if source in self._ports:
            self.from_it[kind(packet[head + 8 :])] += 1
        elif destination in self._ports:
            self.to_it[kind(packet[head + 8 :])] += 1


def udp_ports(pid: int) -> set[int]:
    """The UDP ports that a process holds."""
    held = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            held.add(os.readlink(file))
    rows = (line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:])
    return {int(row[1].rpartition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in held}


def _may_capture() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except PermissionError:
        return False
    return True


@contextlib.contextmanager
def captured(pid: int) -> Iterator[Wire]:
    wire = Wire(pid)
    try:
        yield wire
    finally:
        wire.close()


@pytest.mark.promise("R06")
@pytest.mark.skipif(not _may_capture(), reason="only root may capture")
async def test_while_it_rings_only_the_handshake_and_reports_leave_the_bed(
    hospital: Hospital, sign_in: SignIn
) -> None:
    await hospital.opens()
    seat = await sign_in()
    with captured(hospital.bed.process.process.pid) as wire:
        hospital.bed.press()
        await seat.rings()
        await page_says(seat.page, "kioskTrace.some((moment) => moment.event === 'pc_connected')", HANG_S)
        await until(lambda: wire.from_it["rtcp"] >= REPORTS, "some seconds have passed")
        assert set(wire.from_it) <= {"stun", "dtls", "rtcp"}
        assert "rtp" not in wire.to_it, "nor the seat's"
        await seat.answers()
        await until(lambda: wire.from_it["rtp"] > 0, "the same capture sees what leaves after the accept")
