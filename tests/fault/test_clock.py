"""The wall clock may jump: nothing waits by it."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest

import kiosk
from kiosk.desk import peer_session
from kiosk.signaling import client
from kiosk.signaling import messages as wire
from tests.bedsides import bed_settings, bedside_running
from tests.desks import BED, RunningDesk

READS_THE_WALL_CLOCK = {
    "bedside/journal_file.py": "an age survives a reboot by the date it began",
    "bedside/trace.py": "moments of two machines are compared",
    "bedside/check_command.py": "the dates of earlier results",
    "bedside/self_test.py": "a report is dated; certificates and tickets are compared with now",
    "bench/": "a browser's moments are compared",
    "check/probes.py": "the clock is compared with the desk's",
    "cli.py": "tickets and codes are dated",
    "demo/ward.py": "tickets and codes are dated",
    "desk/auditor.py": "what is entered is dated",
    "desk/certificate.py": "certificates are dated",
    "desk/doors.py": "tickets and codes are dated",
    "desk/peer_session.py": "credentials of the TURN server are dated",
    "desk/relay.py": "fencing numbers rise also across restarts; once, at the start",
    "media/call_sound.py": "the night has its volume",
    "desk/server.py": "tickets are dated; at the login only",
}
"""Nothing here waits. Who adds a file says why; a wait is by ``time.monotonic`` or the event loop's clock."""
WALL_CLOCKS = {("time", "time"), ("time", "time_ns"), ("time", "localtime"), ("datetime", "now"), ("date", "today")}
A_DAY_S = 24 * 3600


def reads_the_wall_clock(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            return any(("time", alias.name) in WALL_CLOCKS for alias in node.names)
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = (
                owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            )
            if (name, node.attr) in WALL_CLOCKS:
                return True
    return False


def test_only_what_is_dated_reads_the_wall_clock() -> None:
    room = Path(kiosk.__file__).parent
    readers = {str(path.relative_to(room)) for path in room.rglob("*.py") if reads_the_wall_clock(path)}
    assert readers, "the search finds what it is to find"
    assert {name for name in readers if not name.startswith(tuple(READS_THE_WALL_CLOCK))} == set()


@pytest.mark.parametrize("step_s", [A_DAY_S, -A_DAY_S], ids=["forward", "back"])
async def test_a_clock_that_jumps_drops_no_link_and_no_request(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    monkeypatch.setattr(peer_session, "HEARTBEAT_S", 0.2)
    right = time.time
    async with bedside_running(bed_settings(desk.ws_url), user_sig=lambda: desk.ticket(BED)) as bed:
        await bed.shows("ready")
        bed.call.press()
        await bed.shows("queued")
        bed.call.release()
        (request_id,) = desk.server.relay.allocation.ledger.requests
        monkeypatch.setattr(time, "time", lambda: right() + step_s)
        seat = await desk.logs_in("nurse-1")
        for _ in range(3 * client.HEARTBEATS_MISSED):
            await seat.hears(wire.Ping)
        bed.call.press()
        assert (await seat.sees(presses=2, online=True)).request_id == request_id
        assert desk.server.relay.is_connected(BED)
        assert not {"no_link", "use_other_bell"} & set(bed.shown[bed.shown.index("ready") :])
