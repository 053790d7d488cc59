"""The history on disk: append-only, never in the way, and honest about what it could not keep."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from kiosk import settings
from kiosk.demo.ward import Ward
from kiosk.desk import history as module
from kiosk.desk.history import FILE_NAME, History, HistoryError, entries
from kiosk.desk.history_export import FORMULA_STARTS, since_of, write_csv, write_json
from kiosk.desk.timeline import Entry, Happened
from kiosk.errors import SettingsError
from kiosk.settings import Settings
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CloseReason
from tests.contract.test_desk_process import kiosk
from tests.desks import SEATS, RunningDesk, help_wanted, invitation
from tests.waiting import HANG_S, until

pytestmark = pytest.mark.promise("R21")

DAY_S = 86_400.0
NOW = 1_800_000_000.0


def raised(request_id: str = "r1", **more: Any) -> Entry:
    return Entry(Happened.RAISED, request_id=request_id, **more)


def ids(path: Path) -> list[str]:
    """The requests of all lines, oldest first."""
    return [line["request_id"] for line in entries(path, since=0.0)]


def hold(path: Path) -> sqlite3.Connection:
    """Another program that has the database for itself."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


def damage(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"not a database" * 500)


Started = Callable[..., History]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "desk-data" / FILE_NAME


@pytest.fixture
def started(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """Starts a history that tries again quickly; every one is closed at the end."""
    monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.05)
    made: list[History] = []

    def start(**changes: Any) -> History:
        made.append(History(path, **({"days": 365, "retry_s": 0.02} | changes)))
        made[-1].start()
        return made[-1]

    yield start
    for history in made:
        history.close()


def kept(path: Path, *added: tuple[Entry, float], days: int = 365) -> None:
    """A whole life of a history."""
    history = History(path, days=days)
    history.start()
    for entry, at in added:
        history.add(entry, at)
    history.close()
    assert history.fault == ""


# -- what is kept


def test_entries_are_kept_in_order_also_across_restarts(path: Path) -> None:
    kept(path, *((raised(f"r{number}"), NOW + number) for number in range(1200)))
    kept(path, (raised("last", seat="nurse-1", spoken=True), NOW))
    assert ids(path) == [f"r{number}" for number in range(1200)] + ["last"]
    line = list(entries(path, since=0.0))[-1]
    assert (line["at"], line["what"], line["seat"], line["spoken"]) == (NOW, "raised", "nurse-1", True)


def test_the_file_is_for_the_desk_alone(path: Path) -> None:
    kept(path, (raised(), NOW))
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE timeline SET seat = 'nobody'", "append-only"),
        ("DELETE FROM timeline", "kept for desk.history_days"),
    ],
)
def test_what_is_kept_is_not_changed_and_not_deleted(path: Path, change: str, words: str) -> None:
    kept(path, (raised(), NOW))
    with closing(sqlite3.connect(path)) as other, pytest.raises(sqlite3.IntegrityError, match=words):
        other.execute(change)
    assert ids(path) == ["r1"]


def test_what_is_older_than_the_facility_keeps_is_let_go(path: Path) -> None:
    kept(path, (raised("old"), NOW - 31 * DAY_S), (raised("young"), NOW - 29 * DAY_S))
    kept(path, (raised("now"), NOW), days=30)
    assert ids(path) == ["young", "now"]


# -- what goes wrong


async def test_a_locked_database_is_a_fault_in_words_and_loses_nothing(path: Path, started: Started) -> None:
    kept(path, (raised("before"), NOW))
    with closing(hold(path)):
        history = started()
        history.add(raised("meanwhile"), NOW)
        await until(lambda: "locked" in history.fault)
    await until(lambda: history.fault == "")
    assert ids(path) == ["before", "meanwhile"]


async def test_what_no_longer_fits_is_counted_and_the_history_says_so(path: Path, started: Started) -> None:
    kept(path, (raised("before"), NOW))
    with closing(hold(path)):
        history = started(queue_limit=3)
        history.add(raised("first"), NOW)
        await until(lambda: history.fault != "")
        for number in range(5):
            history.add(raised(f"later-{number}"), NOW)
    await until(lambda: len(ids(path)) == 6)
    missing = [line for line in entries(path, since=0.0) if line["what"] == "missing"]
    assert [line["count"] for line in missing] == [2]
    assert [found for found in ids(path) if found] == ["before", "first", "later-0", "later-1", "later-2"]


async def test_a_full_disk_is_a_fault_in_words_and_ends_with_it(
    path: Path, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(path, (raised("before"), NOW))
    whole = module._prepare

    def full(connection: sqlite3.Connection, record: object) -> None:
        whole(connection, record)
        connection.execute("PRAGMA max_page_count = 1").close()

    monkeypatch.setattr(module, "_prepare", full)
    history = started()
    history.add(raised("big", reason="x" * 100_000), NOW)
    await until(lambda: "full" in history.fault)
    monkeypatch.setattr(module, "_prepare", whole)
    await until(lambda: history.fault == "")
    assert ids(path) == ["before", "big"]


async def test_a_folder_that_cannot_be_used_is_a_fault_in_words(tmp_path: Path, started: Started) -> None:
    (tmp_path / "desk-data").write_text("a file where the folder should be")
    history = started()
    history.add(raised(), NOW)
    await until(lambda: "exists" in history.fault.lower())
    (tmp_path / "desk-data").unlink()
    await until(lambda: history.fault == "")


async def test_a_damaged_database_is_kept_aside_and_a_new_one_begun(path: Path, started: Started) -> None:
    damage(path)
    history = started()
    history.add(raised(), NOW)
    await until(lambda: path.with_name(f"{FILE_NAME}.damaged-1").exists())
    await until(lambda: history.fault == "")
    assert ids(path) == ["r1"]
    assert path.with_name(f"{FILE_NAME}.damaged-1").read_bytes().startswith(b"not a database")


async def test_a_database_of_a_newer_desk_is_left_alone(path: Path, started: Started) -> None:
    kept(path, (raised(), NOW))
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 9")
    history = started()
    history.add(raised("r2"), NOW)
    await until(lambda: "schema version 9" in history.fault)
    assert ids(path) == ["r1"]


def test_adding_never_waits_whatever_the_disk_does(path: Path) -> None:
    history = History(path, days=365, queue_limit=1)  # nobody writes at all

    def add() -> None:
        for _ in range(100):
            history.add(raised(), NOW)

    adding = threading.Thread(target=add)
    adding.start()
    adding.join(HANG_S)
    assert not adding.is_alive()


# -- the export


def exported(path: Path, write: Callable[..., None]) -> str:
    out = io.StringIO()
    write(entries(path, since=0.0), out)
    return out.getvalue()


def test_csv_and_json_tell_the_same(path: Path) -> None:
    kept(path, (raised(ward="三病区, “A”", age_ms=7), NOW), (raised("r2"), NOW + 1))
    table = list(csv.DictReader(io.StringIO(exported(path, write_csv), newline="")))
    listed = json.loads(exported(path, write_json))
    assert [{name: str(value) for name, value in line.items()} for line in listed] == table
    assert table[0]["at"] == "2027-01-15T08:00:00.000+00:00"
    assert table[0]["ward"] == "三病区, “A”"


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_no_cell_is_a_formula_for_a_spreadsheet(path: Path, start: str) -> None:
    kept(path, (raised(ward=f"{start}1+1"), NOW))
    (line,) = csv.DictReader(io.StringIO(exported(path, write_csv), newline=""))
    assert line["ward"] == f"'{start}1+1"
    assert json.loads(exported(path, write_json))[0]["ward"] == f"{start}1+1"


def test_an_empty_history_is_a_header_or_an_empty_list(path: Path) -> None:
    kept(path, (raised(), NOW))
    out = io.StringIO()
    write_json(entries(path, since=NOW + 1), out)
    assert json.loads(out.getvalue()) == []


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2027-01-15", NOW - 8 * 3600),
        ("2027-01-15T08:00", NOW),
        ("2027-01-15T16:00+08:00", NOW),
        ("2027-01-15T08:00:00Z", NOW),
    ],
)
def test_since_is_a_date_or_a_time_utc_where_nothing_is_said(text: str, at: float) -> None:
    assert since_of(text) == at


def test_a_wrong_since_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(SettingsError, match="--since = 'yesterday': allowed is a date or time such as"):
        since_of("yesterday")


def test_a_history_that_is_not_there_or_damaged_is_said_in_words(path: Path) -> None:
    with pytest.raises(HistoryError, match="there is no history yet"):
        list(entries(path, since=0.0))
    damage(path)
    with pytest.raises(HistoryError, match="not a database"):
        list(entries(path, since=0.0))


# -- a desk and its history


async def test_a_whole_request_can_be_read_while_the_desk_runs(desk: RunningDesk) -> None:
    seat = await desk.seat()
    bed = await desk.bed()
    await bed.says(wire.Request(request=help_wanted()))
    await bed.says(invitation(await bed.hears(wire.Allocated)))
    incoming = await seat.hears(wire.IncomingCall)
    await seat.asks(wire.Accept(call_id=incoming.call_id))
    await seat.asks(wire.Hangup(call_id=incoming.call_id))
    await bed.asks(wire.CloseRequest(request_id="request-1", reason=CloseReason.ATTENDED))
    path = desk.folder / FILE_NAME
    await until(lambda: path.exists() and "closed" in [line["what"] for line in entries(path, since=0.0)])
    lines = list(entries(path, since=0.0))
    assert [line["what"] for line in lines] == (
        ["desk_started", "raised", "acknowledged", "reserved", "rang", "answered", "ended", "closed"]
    )
    assert {line["seat"] for line in lines} == {"", "nurse-1"}
    assert all(abs(line["at"] - time.time()) < 10 * HANG_S for line in lines)


async def test_a_desk_that_cannot_keep_a_history_serves_all_the_same_and_says_so(desk: RunningDesk) -> None:
    await until(lambda: (desk.folder / FILE_NAME).exists())
    with closing(hold(desk.folder / FILE_NAME)):
        seat = await desk.seat()
        bed = await desk.bed()
        await bed.says(wire.Request(request=help_wanted()))
        await bed.says(invitation(await bed.hears(wire.Allocated)))
        await seat.hears(wire.IncomingCall)
        await until(lambda: desk.server.history.fault != "")
        async with desk.http() as http:
            health = (await http.get("/healthz")).json()
        assert (health["ok"], health["history_fault"]) == (True, "database is locked")


async def test_the_command_prints_the_history_and_a_mistake_in_one_line(tmp_path: Path) -> None:
    ward = Ward(tmp_path, Settings(desk=settings.Desk(port=0, seats=SEATS)))
    ward.prepare()
    none = await kiosk(ward, "history")
    assert (none.status, none.line.endswith("a desk makes it when the first request comes")) == (2, True)
    running = await ward.start_desk()
    async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=HANG_S) as http:
        assert (await http.get("/healthz")).json()["history_fault"] == ""
    await running.stop()
    printed = await kiosk(ward, "history", "--format", "json", "--since", "2020-01-01")
    assert [line["what"] for line in json.loads(printed.out)] == ["desk_started"]
    wrong = await kiosk(ward, "history", "--since", "yesterday")
    assert wrong.status == 2
    assert wrong.line.startswith("kiosk: --since = 'yesterday'")


async def test_a_reader_that_has_seen_enough_ends_the_export_quietly(tmp_path: Path) -> None:
    ward = Ward(tmp_path, Settings(desk=settings.Desk(port=0, seats=SEATS)))
    ward.prepare()
    kept(tmp_path / ward.settings.desk.data / FILE_NAME, *((raised(f"r{n}"), NOW) for n in range(5000)))
    command = f"python -m kiosk desk history --settings {ward.desk_file} | head -1"
    shell = await asyncio.create_subprocess_shell(
        command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await asyncio.wait_for(shell.communicate(), HANG_S)
    assert out.startswith(b"number,at,what,request_id")
    assert error == b""


async def test_the_fault_is_on_the_boards_of_seats_that_are_there_and_of_those_that_come(desk: RunningDesk) -> None:
    seat = await desk.seat()
    await until(lambda: "desk_started" in told_by(desk))
    with closing(hold(desk.folder / FILE_NAME)):
        desk.server.history.add(raised(), NOW)
        while (await seat.hears(wire.Board)).history_fault != "database is locked":
            pass
        late = await desk.logs_in("nurse-2")
        assert (await late.hears(wire.Board)).history_fault == "database is locked"
    while (await seat.hears(wire.Board)).history_fault:
        pass


def told_by(desk: RunningDesk) -> list[str]:
    with suppress(HistoryError):  # it has just been made
        return [line["what"] for line in entries(desk.folder / FILE_NAME, since=0.0)]
    return []
