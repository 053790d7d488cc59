"""The journal's file: appended to and fsynced, read at the start, written anew when it has grown or was damaged.

Blocking; one thread at a time. Everything that goes wrong with the disk is an OSError in words fit for the desk's
board; the next call tries again from the start, so a disk that has room again is used again.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from pathlib import Path

from kiosk.bedside import journal
from kiosk.bedside.journal import Kept, Record, Replay
from kiosk.files import write_atomically

log = logging.getLogger(__name__)

FILE_NAME = "journal"
DAMAGED_NAME = "journal.damaged"
"""The last journal that could not be read whole, for whoever wants to know."""
MAX_BYTES = 64 * 1024
"""Then it is written anew with its newest record only; some hundred presses."""
MAX_READ_BYTES = 16 * MAX_BYTES
"""More is read of no file, whoever wrote it: the newest record is at its end."""


class JournalFile:
    """The journal in *folder*, which is made when it is missing."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._descriptor: int | None = None
        self._size = 0
        self._seq = 0
        self._whole = False
        """The file on disk holds what was kept, and may be appended to."""

    def read(self) -> tuple[Kept, str]:
        """What survived, and in words what did not; never raises."""
        self._forget_half_written()
        try:
            replay = journal.scan(self._tail())
        except FileNotFoundError:
            return Kept(), ""
        except OSError as error:
            replay = Replay(damage=f"cannot be read: {error.strerror}")
        self._seq = replay.seq
        self._whole = not replay.damage
        if replay.damage:
            log.warning("x journal %s: %s", self._path, replay.damage)
            with contextlib.suppress(OSError):
                (self._path.parent / DAMAGED_NAME).unlink(missing_ok=True)
                os.link(self._path, self._path.parent / DAMAGED_NAME)
        return replay.kept(now=_now_ms()), replay.damage

    def write(self, kept: Kept) -> None:
        """Put *kept* on the disk; it is there when this returns. Raises OSError."""
        line = journal.encode(Record(seq=self._seq + 1, at=_now_ms(), kept=kept))
        try:
            if self._may_append(len(line)):
                _write_all(self._opened(), line)
                os.fsync(self._opened())
            else:
                self.close()
                self._make_folder()
                write_atomically(self._path, line, mode=0o600)
                self._size = 0
        except OSError:
            self.close()
            self._whole = False
            raise
        self._whole = True
        self._size += len(line)
        self._seq += 1

    def check(self) -> None:
        """Whether a write would have a place. Writes nothing: a card wears. Raises OSError."""
        self._make_folder()
        disk = os.statvfs(self._path.parent)
        if disk.f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        if disk.f_blocks and not disk.f_bavail:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if not os.access(self._path.parent, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        if self._whole and not self._path.exists():
            raise OSError(errno.ENOENT, "the journal was taken away")

    def close(self) -> None:
        """Let go of the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _may_append(self, more: int) -> bool:
        if not self._whole:
            return False
        with contextlib.suppress(OSError):  # somebody took the file or its folder away
            there = os.stat(self._path)
            ours = os.fstat(self._opened())
            return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino) and self._size + more <= MAX_BYTES
        return False

    def _opened(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._size = os.fstat(self._descriptor).st_size
        return self._descriptor

    def _tail(self) -> bytes:
        with self._path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MAX_READ_BYTES))
            return file.read(MAX_READ_BYTES)

    def _make_folder(self) -> None:
        folder = self._path.parent
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        for place in reversed(missing):
            place.mkdir(mode=0o700, exist_ok=True)
            _fsync_folder(place.parent)
        if not folder.is_dir():
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))

    def _forget_half_written(self) -> None:
        with contextlib.suppress(OSError):
            for left in self._path.parent.glob(f".{FILE_NAME}.*.tmp"):
                left.unlink()


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _now_ms() -> int:
    return round(time.time() * 1000)
