"""Whoever opens a socket must close it."""

from __future__ import annotations

import contextlib
import os


def open_sockets() -> int:
    """How many this process has."""
    found = 0
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # closed while we were looking
            found += os.readlink(f"/proc/self/fd/{number}").startswith("socket:")
    return found
