"""What becomes of the named moments of each call: a file of them, and a table of how long they took.

For measuring in release builds too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TextIO

import msgspec

from kiosk.bedside import latency
from kiosk.bedside.request_events import View
from kiosk.bedside.watchers import Trace
from kiosk.media.stages import Stage


class Moment(msgspec.Struct, frozen=True):
    """``at`` is Unix seconds, so that it can be compared with a browser's clock on the same machine."""

    event: str
    at: float
    call_id: str = ""


class TraceFile:
    """A context manager; :meth:`note` appends one JSON line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> TraceFile:
        self._file = self._path.open("a", buffering=1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def shown(self, view: View, told: str) -> None:
        """Write what the bed shows, now."""
        self.note(f"shows {view.prompt}")

    def note(self, event: str, call_id: str = "", *, ago: float = 0.0) -> None:
        """Write *event*, which happened *ago* seconds before."""
        if self._file is not None:
            moment = Moment(event, time.time() - ago, call_id)
            self._file.write(msgspec.json.encode(moment).decode() + "\n")


class LatencyTable:
    """Prints how long each stage took: at each call's end, and at the end. *say* takes a line."""

    def __init__(self, say: Callable[[str], None] = print) -> None:
        self._say = say
        self._latency = latency.Latency()
        self._told = True

    def __enter__(self) -> LatencyTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._told:
            self._tell()

    def note(self, event: str, call_id: str = "", *, ago: float = 0.0) -> None:
        """Take *event*, which happened *ago* seconds before."""
        self._latency.note(event, time.monotonic() - ago)
        self._told = False
        if event in latency.CALL_ENDS:
            self._tell()

    def took(self, stage: Stage, seconds: float) -> None:
        """Take how long *stage* took. Any thread."""
        self._latency.took(stage, seconds)

    def _tell(self) -> None:
        self._told = True
        for row in self._latency.rows():
            self._say(row)


def both(one: Trace, other: Trace) -> Trace:
    """Give each moment to both."""

    def note(event: str, call_id: str = "", *, ago: float = 0.0) -> None:
        one(event, call_id, ago=ago)
        other(event, call_id, ago=ago)

    return note
