"""Keeps the process' heap from growing with its calls.

glibc's malloc learns from the first picture that is freed to take pictures (1.4 MB each at 720p) from the heap
rather than from the system, and gives each thread a heap of its own. Each call has new threads, whose small blocks
stay between the pictures: the bed grew from 134 to 175 MB in 200 calls (``kiosk bench leaks``), though nothing was
left of them. With the threshold held where it begins, pictures go back to the system as soon as they are freed.
"""

from __future__ import annotations

import ctypes
import logging

log = logging.getLogger(__name__)

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""malloc.h"""
THRESHOLD_BYTES = 128 * 1024
"""glibc's own at the start; setting it keeps it there (mallopt(3))."""
ARENAS = 2


def keep_heap_small() -> bool:
    """Whether it could be done: not where the C library is another than glibc. Before the first thread starts."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        log.info("- this C library's heap cannot be kept small")
        return False
    wanted = {M_MMAP_THRESHOLD: THRESHOLD_BYTES, M_TRIM_THRESHOLD: THRESHOLD_BYTES, M_ARENA_MAX: ARENAS}
    return all(mallopt(name, value) == 1 for name, value in wanted.items())
