"""The processes that a process has started."""

from __future__ import annotations

from pathlib import Path


def children(pid: int) -> list[int]:
    """The processes that *pid* has started and that still run (proc(5): the fourth field of stat is the parent)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            stat = (process / "stat").read_text()
        except OSError:
            continue  # it ended while we were looking
        if int(stat.rpartition(")")[2].split()[1]) == pid:
            found.append(int(process.name))
    return found
