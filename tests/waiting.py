"""Waiting in tests: for what nobody announces there is only looking again, with a generous end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

HANG_S = 30.0
"""A limit against hanging, never a measurement."""
LOOK_AGAIN_S = 0.01


async def until(condition: Callable[[], bool], what: str = "") -> None:
    """Return as soon as *condition* holds; fail after ``HANG_S``."""
    end = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < end, f"still not so after {HANG_S:.0f} s: {what or condition}"
        await asyncio.sleep(LOOK_AGAIN_S)
