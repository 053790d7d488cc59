"""Gives what a call's pictures took back to the system when the call is over.

glibc's malloc keeps what is freed, and gives each thread a heap of its own. A call's threads, codecs and pictures
(1.4 MB each at 720p) come and go, and small blocks that stay keep what lies below them: the bed grew from 134 to
175 MB in 200 calls (``kiosk bench leaks``) though nothing was left of them. So there are few heaps, and they are
trimmed when a call has ended. To let pictures go back at once (``M_MMAP_THRESHOLD``) would be simpler, but then
each costs 0.65 ms of page faults (x86-64).

Python's own collector looks through all there is when enough has changed, which a talk of four seats brings about
every few seconds: 50 ms on a PC in which no packet leaves. What is there from the start is never garbage.
"""

from __future__ import annotations

import ctypes
import gc
import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

M_ARENA_MAX = -8
"""malloc.h"""
ARENAS = 2


def keep_heaps_few() -> bool:
    """Whether it could be done: only where the C library is glibc. Before the first thread starts."""
    mallopt = _of_libc("mallopt")
    return mallopt is not None and mallopt(M_ARENA_MAX, ARENAS) == 1


def leave_out_what_is_there() -> None:
    """Let the collector look no more at what there is now. When all is loaded and made, before the first call."""
    gc.collect()
    gc.freeze()


def trim_heap() -> None:
    """Give what is free back to the system; takes some milliseconds, and lets other threads run. Any thread."""
    malloc_trim = _of_libc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(ctypes.c_size_t(0))


def _of_libc(name: str) -> Callable[..., int] | None:
    try:
        return getattr(ctypes.CDLL(None), name)  # type: ignore[no-any-return]
    except (AttributeError, OSError):
        log.debug("- this C library has no %s", name)
        return None
