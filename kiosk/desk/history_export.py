"""``kiosk desk history`` and ``kiosk desk audit``: what is kept, as CSV or JSON.

Streamed, for a person's spreadsheet or another program.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

import sqlalchemy as sa

from kiosk.desk.history import TIMELINE
from kiosk.errors import SettingsError

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula and runs it."""


def since_of(text: str) -> float:
    """The Unix time of an ISO 8601 date or time; UTC where none is said. Raises :exc:`SettingsError`."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"--since = {text!r}: allowed is a date or time such as 2026-03-01 or 2026-03-01T07:30+08:00"
        ) from None
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()


def write_csv(lines: Iterable[dict[str, Any]], out: TextIO, table: sa.Table = TIMELINE) -> None:
    """Write *lines* of *table* with a header; no cell can be taken for a formula."""
    writer = csv.writer(out)
    names = table.columns.keys()
    writer.writerow(names)
    for line in lines:
        told = _told(line)
        writer.writerow([_harmless(told[name]) for name in names])


def write_json(lines: Iterable[dict[str, Any]], out: TextIO, table: sa.Table = TIMELINE) -> None:
    """Write *lines* as one JSON list, a line each."""
    before = "[\n"
    for line in lines:
        out.write(before + json.dumps(_told(line), ensure_ascii=False))
        before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


WRITERS = {"csv": write_csv, "json": write_json}


def _told(line: dict[str, Any]) -> dict[str, Any]:
    at = datetime.fromtimestamp(line["at"], UTC).isoformat(timespec="milliseconds")
    return {**line, "at": at}


def _harmless(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
