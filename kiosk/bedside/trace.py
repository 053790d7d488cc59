"""Writes the named moments of each call to a file, for measuring in release builds too."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import TextIO

import msgspec

from kiosk.bedside.request_events import View


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
