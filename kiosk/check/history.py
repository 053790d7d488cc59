"""The results of earlier self-tests, for the quarterly inspection: a file in the state folder that cannot grow.

Blocking; one thread at a time. JSON lines, oldest first, written whole and atomically. A line that cannot be read
(another version's, or a damaged file's) is passed over; what is damaged is kept beside it before it is written
anew.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

import msgspec

from kiosk.check.findings import Report
from kiosk.files import write_atomically

log = logging.getLogger(__name__)

FILE_NAME = "self_tests.jsonl"
DAMAGED_NAME = "self_tests.damaged"
KEPT = 200
"""Of a test each week, almost four years."""
MAX_BYTES = 1024 * 1024
"""Of 200 tests with all their words some 400 kB; more was not written by us."""


def read(folder: Path) -> tuple[Report, ...]:
    """The results kept in *folder*, oldest first. Raises OSError when the file is there and cannot be read."""
    return tuple(_read(folder)[0])


def add(folder: Path, report: Report) -> None:
    """Keep *report*, and of the others the newest. Raises OSError."""
    kept, damaged = _read(folder)
    if damaged:
        log.warning("x %s: some of it cannot be read; kept as %s", folder / FILE_NAME, DAMAGED_NAME)
        with contextlib.suppress(FileNotFoundError):
            os.replace(folder / FILE_NAME, folder / DAMAGED_NAME)
    lines = [msgspec.json.encode(each) for each in [*kept, report][-KEPT:]]
    path = folder / FILE_NAME
    write_atomically(path, b"\n".join([*lines, b""]), mode=0o600)
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:  # a check by root must not lock the bed out of its own file
        os.chown(path, owner.st_uid, owner.st_gid)


def _read(folder: Path) -> tuple[list[Report], bool]:
    """The results, and whether there is more in the file that could not be read."""
    try:
        with (folder / FILE_NAME).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return [], False
    reports, damaged = [], len(raw) > MAX_BYTES
    for line in raw[:MAX_BYTES].splitlines():
        try:
            reports.append(msgspec.json.decode(line, type=Report))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            damaged = True
    return reports, damaged
