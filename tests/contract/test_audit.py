"""What a desk and the commands beside it leave in the audit log, and what never comes there."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from kiosk import settings
from kiosk.demo.ward import Ward
from kiosk.desk import audit, history
from kiosk.desk.audit import Act, Audited
from kiosk.desk.auditor import Auditor
from kiosk.desk.history import AUDIT, FILE_NAME, History, HistoryError, entries, write_now
from kiosk.desk.timeline import Entry, Happened
from kiosk.settings import Settings
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CloseReason, ErrorCode
from tests.contract.test_desk_process import kiosk
from tests.desks import BED, SEATS, RunningDesk, desk_running, help_wanted, invitation
from tests.waiting import until

pytestmark = pytest.mark.promise("R21")

DAY_S = 86_400.0
NOW = 1_800_000_000.0
PASSPHRASE = "correct horse battery"
OLD_SCHEMA = """
CREATE TABLE timeline (number INTEGER PRIMARY KEY AUTOINCREMENT, at FLOAT NOT NULL, what VARCHAR NOT NULL,
  request_id VARCHAR NOT NULL, bed_user VARCHAR NOT NULL, ward VARCHAR NOT NULL, room VARCHAR NOT NULL,
  bed VARCHAR NOT NULL, seat VARCHAR NOT NULL, call_id VARCHAR NOT NULL, reason VARCHAR NOT NULL,
  place INTEGER NOT NULL, age_ms INTEGER NOT NULL, duration_ms INTEGER NOT NULL, spoken BOOLEAN NOT NULL,
  priority INTEGER NOT NULL, presses INTEGER NOT NULL, count INTEGER NOT NULL);
CREATE INDEX ix_timeline_at ON timeline (at);
CREATE TABLE kept (since FLOAT NOT NULL);
CREATE TRIGGER timeline_is_append_only BEFORE UPDATE ON timeline
 BEGIN SELECT RAISE(ABORT, 'the timeline is append-only'); END;
CREATE TRIGGER timeline_is_kept BEFORE DELETE ON timeline WHEN OLD.at >= (SELECT since FROM kept)
 BEGIN SELECT RAISE(ABORT, 'the timeline is kept for desk.history_days'); END;
INSERT INTO kept VALUES (-1e18);
INSERT INTO timeline VALUES (1, 1.8e9, 'raised', 'r1', '', '', '', '', '', '', '', 0, 0, 0, 0, 0, 1, 0);
PRAGMA user_version = 1;
"""


def logged(path: Path) -> list[dict[str, Any]]:
    return list(entries(path, since=0.0, table=AUDIT))


async def tells(desk: RunningDesk, what: Audited, **wanted: Any) -> dict[str, Any]:
    """The newest line of *what*, as soon as there is one as *wanted*."""
    path = desk.folder / FILE_NAME
    found: list[dict[str, Any]] = []

    def there() -> bool:
        with suppress(HistoryError):  # it has just been made, and has no tables yet
            wanted_too = wanted | {"what": what.value}
            found[:] = [line for line in logged(path) if wanted_too.items() <= line.items()]
        return bool(found)

    await until(there, f"the audit log tells {what} with {wanted}")
    return found[-1]


async def test_the_settings_a_desk_started_with_are_told_by_fingerprint_and_keys(desk: RunningDesk) -> None:
    line = await tells(desk, Audited.DESK_STARTED)
    assert len(line["reason"]) == 16
    assert line["detail"] == "desk.port desk.wrap_up desk.seats"


async def test_a_sign_in_by_passphrase_is_told_with_its_address_and_its_ticket(desk: RunningDesk) -> None:
    await asyncio.to_thread(desk.server.registry.set_passphrase, "nurse-1", PASSPHRASE)
    async with desk.http() as http:
        await http.post("/api/sign-in", json={"userID": "nurse-1", "passphrase": "wrong"})
        await http.post("/api/sign-in", json={"userID": PASSPHRASE, "passphrase": "nurse-1"})
        answer = await http.post("/api/sign-in", json={"userID": "nurse-1", "passphrase": PASSPHRASE})
    await tells(desk, Audited.USERSIG_ISSUED, user_id="nurse-1", reason="sign-in")
    told = [(line["what"], line["user_id"], line["address"], line["reason"]) for line in logged(path_of(desk))[1:]]
    assert told == [
        ("sign_in_refused", "nurse-1", "127.0.0.1", "not_allowed"),
        ("sign_in_refused", "", "127.0.0.1", "not_allowed"),
        ("signed_in", "nurse-1", "127.0.0.1", "passphrase"),
        ("usersig_issued", "nurse-1", "127.0.0.1", "sign-in"),
    ]
    kept = path_of(desk).read_bytes() + path_of(desk).with_name(f"{FILE_NAME}-wal").read_bytes()
    for secret in (PASSPHRASE, answer.json()["userSig"][:20], desk.secret_key):
        assert secret.encode() not in kept, "no secret comes into the log, typed into the wrong field neither"


def path_of(desk: RunningDesk) -> Path:
    return desk.folder / FILE_NAME


async def test_a_sign_in_by_code_is_told(desk: RunningDesk) -> None:
    code = await asyncio.to_thread(desk.server.registry.make_code, "nurse-1", now=2**31)
    async with desk.http() as http:
        assert (await http.post("/api/sign-in", json={"code": code})).status_code == 200
        assert (await http.post("/api/sign-in", json={"code": code})).status_code == 403
    await tells(desk, Audited.SIGNED_IN, user_id="nurse-1", reason="code")
    await tells(desk, Audited.SIGN_IN_REFUSED, reason="not_allowed")


async def test_a_seat_that_comes_goes_and_is_put_out_is_told(desk: RunningDesk) -> None:
    first = await desk.seat("nurse-1")
    await tells(desk, Audited.SIGNED_IN, user_id="nurse-1", reason="usersig", address="127.0.0.1")
    second = await desk.seat("nurse-1")
    await first.is_closed()
    await tells(desk, Audited.PUT_OUT, user_id="nurse-1")
    await tells(desk, Audited.SIGNED_OUT, user_id="nurse-1", reason="kicked out")
    await second.socket.close()
    await tells(desk, Audited.SIGNED_OUT, user_id="nurse-1", reason="")


async def test_a_bed_is_told_when_it_comes_from_another_address_and_not_at_each_reconnect(
    desk: RunningDesk,
) -> None:
    for _ in range(3):
        bed = await desk.bed()
        await bed.socket.close()
    await desk.seat()
    await tells(desk, Audited.SIGNED_IN, user_id="nurse-1")
    assert [line["user_id"] for line in logged(path_of(desk)) if line["what"] == "signed_in"] == [BED, "nurse-1"]


async def test_a_login_with_a_wrong_ticket_is_told_with_its_reason(desk: RunningDesk) -> None:
    stranger = await desk.stranger()
    await stranger.says(desk.login(BED, user_sig=desk.ticket(BED, secret_key="0" * 64)))
    assert (await stranger.hears(wire.Fault)).code is ErrorCode.SIG_FOREIGN
    await tells(desk, Audited.SIGN_IN_REFUSED, user_id=BED, reason="sig_foreign", address="127.0.0.1")


async def test_a_flood_of_refused_sign_ins_leaves_few_lines_and_their_number(tmp_path: Path) -> None:
    async with desk_running(tmp_path) as desk, desk.http() as http:
        for _ in range(40):
            await http.post("/api/sign-in", json={"code": "guessed"})
    refused = [line for line in logged(tmp_path / FILE_NAME) if line["what"] in ("sign_in_refused", "more")]
    assert [line["what"] for line in refused] == ["sign_in_refused"] * audit.REFUSED_EACH + ["more"]
    assert refused[-1]["count"] == 40 - audit.REFUSED_EACH


async def test_what_was_only_counted_is_told_when_the_window_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiosk.desk.auditor.WINDOW_S", 0.01)
    kept: list[Act] = []
    auditor = Auditor(lambda act, at: kept.append(act))
    for _ in range(7):
        auditor.refused("", "10.0.0.9", "not_allowed")
    await until(lambda: kept[-1] == Act(Audited.MORE, reason="sign_in_refused", count=2))
    auditor.close()
    assert len(kept) == audit.REFUSED_EACH + 1


async def test_a_request_closed_by_a_seat_is_told_and_a_refused_close_is_not(tmp_path: Path) -> None:
    async with desk_running(tmp_path, {"close_from_seat": True}) as desk:
        seat, bed = await desk.seat(), await desk.bed()
        await bed.says(wire.Request(request=help_wanted()))
        await bed.says(invitation(await bed.hears(wire.Allocated)))
        incoming = await seat.hears(wire.IncomingCall)
        await seat.asks(wire.Accept(call_id=incoming.call_id))
        close = wire.CloseRequest(request_id="request-1", reason=CloseReason.CLOSED_BY_SEAT)
        assert isinstance(await seat.asks(close), wire.Fault)
        await bed.asks(wire.Hangup(call_id=incoming.call_id, spoken=True))
        assert isinstance(await seat.asks(close), wire.Ack)
        line = await tells(desk, Audited.REQUEST_CLOSED)
        assert (line["user_id"], line["detail"]) == ("nurse-1", "request-1")
        assert [line["what"] for line in logged(path_of(desk))].count("request_closed") == 1


# -- on disk


@pytest.mark.parametrize(
    ("change", "words"),
    [("UPDATE audit SET user_id = 'nobody'", "append-only"), ("DELETE FROM audit", "kept for desk.history_days")],
)
def test_what_is_kept_is_not_changed_and_not_deleted(tmp_path: Path, change: str, words: str) -> None:
    write_now(tmp_path / FILE_NAME, Act(Audited.PASSPHRASE_SET, "nurse-1"), NOW)
    with (
        closing(sqlite3.connect(tmp_path / FILE_NAME)) as other,
        pytest.raises(sqlite3.IntegrityError, match=words),
    ):
        other.execute(change)
    assert len(logged(tmp_path / FILE_NAME)) == 1


def test_it_is_let_go_with_the_timelines(tmp_path: Path) -> None:
    for days in (31, 29):
        write_now(tmp_path / FILE_NAME, Act(Audited.CODE_MADE, f"{days}"), NOW - days * DAY_S)
    kept = History(tmp_path / FILE_NAME, days=30)
    kept.start()
    kept.add(Entry(Happened.DESK_STARTED), NOW)
    kept.close()
    assert [line["user_id"] for line in logged(tmp_path / FILE_NAME)] == ["29"]


def test_a_history_of_the_form_before_is_given_one_and_keeps_its_lines(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as old:
        old.executescript(OLD_SCHEMA)
    kept = History(tmp_path / FILE_NAME, days=365)
    kept.start()
    kept.add(Entry(Happened.RAISED, request_id="r2"), NOW)
    kept.audit(Act(Audited.DESK_STARTED), NOW)
    kept.close()
    assert kept.fault == ""
    assert [line["request_id"] for line in entries(tmp_path / FILE_NAME, since=0.0)] == ["r1", "r2"]
    assert [line["what"] for line in logged(tmp_path / FILE_NAME)] == ["desk_started"]
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as other, pytest.raises(sqlite3.IntegrityError):
        other.execute("DELETE FROM audit")


def test_the_log_never_pushes_out_a_timeline_and_says_what_it_misses(tmp_path: Path) -> None:
    kept = History(tmp_path / FILE_NAME, days=365, queue_limit=10)
    for _ in range(20):
        kept.audit(Act(Audited.SIGNED_IN), NOW)
    for number in range(4):
        kept.add(Entry(Happened.RAISED, request_id=f"r{number}"), NOW)
    kept.start()
    kept.close()
    assert len(list(entries(tmp_path / FILE_NAME, since=0.0))) == 4
    lines = logged(tmp_path / FILE_NAME)
    assert (lines[-1]["what"], lines[-1]["count"]) == ("missing", 14)
    assert len(lines) == 7


# -- the commands


async def test_commands_write_into_the_log_of_a_desk_that_runs_and_export_it(tmp_path: Path) -> None:
    ward = Ward(tmp_path, Settings(desk=settings.Desk(port=0, seats=SEATS)))
    ward.prepare()
    running = await ward.start_desk()
    try:
        ticket = await kiosk(ward, "usersig", "nurse-2")
        code = await kiosk(ward, "code", "nurse-1")
        await kiosk(ward, "history", "--since", "2020-01-01")
        printed = await kiosk(ward, "audit", "--format", "json")
        table = await kiosk(ward, "audit")
    finally:
        await running.stop()
    lines = json.loads(printed.out)
    assert [(line["what"], line["user_id"], line["reason"]) for line in lines if line["by"]] == [
        ("usersig_issued", "nurse-2", "command"),
        ("code_made", "nurse-1", ""),
        ("exported", "", "history"),
        ("exported", "", "audit"),
    ]
    for secret in (ticket.out.strip(), code.out.partition("#code=")[2].strip()):
        assert secret
        assert secret not in printed.out + table.out
    assert next(csv.reader(io.StringIO(table.out)))[:4] == ["number", "at", "what", "user_id"]


async def test_a_log_that_cannot_be_written_is_said_and_the_command_works(tmp_path: Path) -> None:
    ward = Ward(tmp_path, Settings(desk=settings.Desk(port=0, seats=SEATS)))
    ward.prepare()
    data = tmp_path / ward.settings.desk.data
    data.mkdir(exist_ok=True)
    (data / FILE_NAME).write_bytes(b"not a database" * 500)
    made = await kiosk(ward, "code", "nurse-1")
    assert made.status == 0
    assert "#code=" in made.out


def test_a_locked_log_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / FILE_NAME
    write_now(path, Act(Audited.CODE_MADE), NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryError, match="locked"):
            write_now(path, Act(Audited.CODE_MADE), NOW)
