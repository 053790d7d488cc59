"""The timelines and the audit log on disk: SQLite through SQLAlchemy Core, append-only, and never in the way of an
allocation.

:meth:`History.add` and :meth:`History.audit` only put a line into a bounded queue; a thread of its own writes, one
transaction a batch. A disk that is full, a database that is locked or damaged is a *fault* in words
(:attr:`History.fault`, shown by ``/healthz``, on the seats' pages and in the log): lines wait in the queue, and
those that no longer fit are counted, so that it says itself where there is a gap. A damaged file is kept beside the
new one, for whoever may want to mend it.

The database refuses UPDATE always, and DELETE of whatever is younger than the facility's ``desk.history_days``.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_type_hints

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from kiosk.desk.audit import Act, Audited
from kiosk.desk.timeline import Entry, Happened
from kiosk.errors import KioskError

log = logging.getLogger(__name__)

FILE_NAME = "history.sqlite"
SCHEMA_VERSION = 2
"""1 had no audit log; such a file is given one."""
QUEUE_LIMIT = 10_000
"""Entries that wait while the disk does not take them: about an hour of a busy ward. Half of it is the timelines'
alone: lines of the audit log never push out a request's."""
BATCH_LIMIT = 500
BUSY_TIMEOUT_S = 2.0
"""How long one try waits for another program that holds the database."""
RETRY_S = 2.0
CLOSE_TIMEOUT_S = 5.0
"""How long an orderly end waits for what is still to be written."""
TIDY_EVERY_S = 3600.0
"""How often what is older than the facility keeps is deleted, at most."""
DAY_S = 86_400.0

_TYPES: dict[type | UnionType, Any] = {
    int: sa.Integer,
    bool: sa.Boolean,
    Happened: sa.String,
    Audited: sa.String,
    str: sa.String,
}
_METADATA = sa.MetaData()


def _table(name: str, of: type[Entry] | type[Act]) -> sa.Table:
    hints = get_type_hints(of)
    return sa.Table(
        name,
        _METADATA,
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False, index=True),
        *(sa.Column(column.name, _TYPES[hints[column.name]], nullable=False) for column in fields(of)),
        sqlite_autoincrement=True,
    )


TIMELINE = _table("timeline", Entry)
"""``at`` is the desk's wall clock, Unix seconds; the rest is :class:`~kiosk.desk.timeline.Entry`."""
AUDIT = _table("audit", Act)
"""The same of :class:`~kiosk.desk.audit.Act`."""
_KEPT = sa.Table("kept", _METADATA, sa.Column("since", sa.Float, nullable=False))
"""One row: what is older may be deleted."""

_TRIGGERS = tuple(
    trigger
    for table in (TIMELINE.name, AUDIT.name)
    for trigger in (
        f"CREATE TRIGGER IF NOT EXISTS {table}_is_append_only BEFORE UPDATE ON {table}"
        f" BEGIN SELECT RAISE(ABORT, 'the {table} is append-only'); END",
        f"CREATE TRIGGER IF NOT EXISTS {table}_is_kept BEFORE DELETE ON {table}"  # noqa: S608  (our own names)
        f" WHEN OLD.at >= (SELECT since FROM kept)"
        f" BEGIN SELECT RAISE(ABORT, 'the {table} is kept for desk.history_days'); END",
    )
)


class HistoryError(KioskError):
    """The history cannot be read or written; the text says why and what to do."""


@dataclass(frozen=True)
class _Line:
    entry: Entry | Act
    at: float

    @property
    def table(self) -> sa.Table:
        return TIMELINE if isinstance(self.entry, Entry) else AUDIT

    def row(self) -> dict[str, Any]:
        return {"at": self.at, **asdict(self.entry), "what": self.entry.what.value}


class History:
    """The writer. Entries older than *days* are deleted."""

    def __init__(self, path: Path, *, days: int, queue_limit: int = QUEUE_LIMIT, retry_s: float = RETRY_S) -> None:
        self.fault = ""
        """Why nothing can be written now, in words; empty when all is well. Read from any thread."""
        self._path = path
        self._days = days
        self._report: Callable[[str], None] = lambda fault: None
        self._retry_s = retry_s
        self._waiting: queue.Queue[_Line] = queue.Queue(queue_limit)
        self._audit_limit = queue_limit // 2
        self._missing: Counter[str] = Counter()
        """How many lines no longer fitted, by table."""
        self._missing_lock = threading.Lock()
        self._more = threading.Event()
        self._closing = threading.Event()
        self._engine: sa.Engine | None = None
        self._set_aside = False
        self._tidied_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def start(self, *, report: Callable[[str], None] = lambda fault: None) -> None:
        """Begin to write what was and will be added.

        *report* is called on the writer's thread each time :attr:`fault` has changed.
        """
        self._report = report
        self._thread.start()

    def add(self, entry: Entry, at: float) -> None:
        """Keep *entry*, which happened *at* (Unix seconds). Returns at once, whatever the disk does."""
        self._add(_Line(entry, at), limited=False)

    def audit(self, act: Act, at: float) -> None:
        """Keep *act* in the audit log, as :meth:`add` does."""
        self._add(_Line(act, at), limited=self._waiting.qsize() > self._audit_limit)

    def _add(self, line: _Line, *, limited: bool) -> None:
        try:
            if limited:
                raise queue.Full
            self._waiting.put_nowait(line)
        except queue.Full:
            with self._missing_lock:
                self._missing[line.table.name] += 1
        self._more.set()

    def close(self) -> None:
        """Write what waits, within ``CLOSE_TIMEOUT_S``, and end."""
        self._closing.set()
        self._more.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_TIMEOUT_S)
        left = self._waiting.qsize()
        if left:
            log.error("x the history ends without its last %d entries: %s", left, self.fault or "too slow")

    # -- on the writer's thread

    def _run(self) -> None:
        batch: list[_Line] = []
        while True:
            if not batch:
                batch = self._next_batch()
            if not batch and self._closing.is_set():
                break
            if batch and self._written(batch):
                batch = []
            elif batch and self._closing.wait(self._retry_s):
                log.error("x the history ends without its last %d entries: %s", len(batch), self.fault)
                break
        if self._engine is not None:
            self._engine.dispose()

    def _next_batch(self) -> list[_Line]:
        """What waits, after at least one entry came or the end has begun."""
        self._more.wait()
        self._more.clear()
        batch: list[_Line] = []
        while len(batch) < BATCH_LIMIT and not self._waiting.empty():
            batch.append(self._waiting.get_nowait())
        if not self._waiting.empty() or self._closing.is_set():
            self._more.set()
        return batch

    def _written(self, batch: list[_Line]) -> bool:
        with self._missing_lock:
            missing = self._missing.copy()
        now = batch[-1].at
        lines = batch.copy()
        if gap := missing[TIMELINE.name]:
            lines.append(_Line(Entry(Happened.MISSING, count=gap), now))
        if gap := missing[AUDIT.name]:
            lines.append(_Line(Act(Audited.MISSING, count=gap), now))
        try:
            engine = self._engine = self._engine or open_for_writing(self._path)
            with engine.begin() as connection:
                for table in (TIMELINE, AUDIT):
                    if rows := [line.row() for line in lines if line.table is table]:
                        connection.execute(sa.insert(table), rows)
                self._tidy(connection, now)
        except (SQLAlchemyError, HistoryError, OSError) as error:
            self._failed(error)
            return False
        with self._missing_lock:
            self._missing.subtract(missing)
        if self.fault:
            log.info("- the history is written again")
            self.fault = ""
            self._report("")
        return True

    def _tidy(self, connection: sa.Connection, now: float) -> None:
        if self._tidied_at is not None and abs(now - self._tidied_at) < TIDY_EVERY_S:
            return
        since = now - self._days * DAY_S
        connection.execute(sa.update(_KEPT).values(since=since))
        deleted = sum(
            connection.execute(sa.delete(table).where(table.c.at < since)).rowcount for table in (TIMELINE, AUDIT)
        )
        connection.execute(sa.update(_KEPT).values(since=_NEVER))
        self._tidied_at = now
        if deleted:
            log.info("- the history has let go of %d entries older than %d days", deleted, self._days)

    def _failed(self, error: Exception) -> None:
        words = _words(error)
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
        if _is_damaged(error) and not self._set_aside:
            # Once in a desk's life only: a disk that damages each new file shall not fill with damaged ones.
            self._set_aside = True
            words = f"{words}; {self._put_aside()}"
        if words != self.fault:
            log.error("x the history cannot be written: %s", words)
            self.fault = words
            self._report(words)

    def _put_aside(self) -> str:
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.damaged-{number}")).exists():
            number += 1
        try:
            self._path.replace(aside)
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            return f"it cannot be put aside: {error.strerror}"
        return f"it is kept as {aside.name}, and a new one is begun"


_NEVER = -1e18
"""Between two tidyings nothing may be deleted at all."""


def open_for_writing(path: Path) -> sa.Engine:
    """The database at *path*, made if there is none. Raises :exc:`HistoryError` and SQLAlchemy's errors."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version < SCHEMA_VERSION:
                _METADATA.create_all(connection)
                for trigger in _TRIGGERS:
                    connection.exec_driver_sql(trigger)
                if version == 0:
                    connection.execute(sa.insert(_KEPT).values(since=_NEVER))
                connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise HistoryError(
                    f"{path.name} has schema version {version}, this desk writes {SCHEMA_VERSION}: update the desk"
                )
    except BaseException:
        engine.dispose()
        raise
    return engine


def write_now(path: Path, act: Act, at: float) -> None:
    """Add *act* to the audit log at *path*, from another process than the desk's. Blocks.

    Raises :exc:`HistoryError`.
    """
    try:
        engine = open_for_writing(path)
        try:
            with engine.begin() as connection:
                connection.execute(sa.insert(AUDIT), [_Line(act, at).row()])
        finally:
            engine.dispose()
    except (SQLAlchemyError, OSError) as error:
        raise HistoryError(f"{path}: {_words(error)}") from None


def entries(path: Path, *, since: float, table: sa.Table = TIMELINE) -> Iterator[dict[str, Any]]:
    """The lines of *table* in the history at *path* from Unix time *since* on, oldest first.

    They are read as they are asked for. Raises :exc:`HistoryError`.
    """
    if not path.exists():
        raise HistoryError(f"{path}: there is no history yet; a desk makes it when the first request comes")
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=f"file:{path}", query={"mode": "ro", "uri": "true"}),
        connect_args={"timeout": BUSY_TIMEOUT_S},
    )
    try:
        with engine.connect() as connection:
            asked = sa.select(table).where(table.c.at >= since).order_by(table.c.number)
            for row in connection.execution_options(yield_per=BATCH_LIMIT).execute(asked):
                yield dict(row._mapping)
    except DBAPIError as error:
        raise HistoryError(f"{path}: {_words(error)}") from None
    finally:
        engine.dispose()


def _prepare(connection: sqlite3.Connection, record: object) -> None:
    # Transactions are begun by us, since sqlite3 would leave what makes tables and triggers out of them.
    connection.isolation_level = None
    # WAL: an export reads while the desk writes. FULL: what is committed survives a power cut.
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _words(error: Exception) -> str:
    if isinstance(error, DBAPIError):
        return str(error.orig)
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _is_damaged(error: Exception) -> bool:
    original = error.orig if isinstance(error, DBAPIError) else None
    code = getattr(original, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
