"""The socket in the file system: made so that nobody else can reach it for a moment, and found again.

A Unix socket's path may have 107 bytes only; the folder is opened first and the rest named from there.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from kiosk.settings import Settings

log = logging.getLogger(__name__)

FILE_NAME = "control"


def path_of(settings: Settings, folder: Path) -> Path:
    """Where the socket of the bed with *settings* is; *folder* is that of the settings file."""
    if settings.control.socket:
        return folder / settings.control.socket
    return folder / settings.state.folder / FILE_NAME


@contextlib.contextmanager
def listening_at(path: Path, *, group: int | None) -> Iterator[socket.socket]:
    """A socket bound to *path*, for this user (and root), and for *group*. Raises OSError.

    One that nobody listens at, left by a crash, makes room; any other file does not.
    """
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(_from_folder(path))
        _make_room(path, address)
        listening = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        os.fchmod(listening.fileno(), 0o600)  # Linux makes the file with the mode that the socket has
        listening.bind(address)
        made = os.stat(address).st_ino
        if group is not None:
            _let_in(path, address, group)
        try:
            yield listening
        finally:
            with contextlib.suppress(OSError):
                if os.stat(address).st_ino == made:
                    os.unlink(address)


def connected_to(path: Path) -> socket.socket:
    """A socket connected to the bed at *path*. Raises OSError; FileNotFoundError or ConnectionRefusedError: no bed
    runs there."""
    with _from_folder(path) as address:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)  # a queue that is full is an error and no wait
        try:
            connection.connect(address)
        except OSError:
            connection.close()
            raise
        return connection


@contextlib.contextmanager
def _from_folder(path: Path) -> Iterator[str]:
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _make_room(path: Path, address: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(address).st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file that is no socket")
        connected_to(path).close()
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        os.unlink(address)
        return
    raise OSError(errno.EADDRINUSE, "another kiosk runs with these settings")


def _let_in(path: Path, address: str, group: int) -> None:
    try:
        os.chown(address, -1, group)
        os.chmod(address, 0o660)
    except OSError as error:
        log.warning("x control socket %s: control.group cannot use it: %s", path, error.strerror)
