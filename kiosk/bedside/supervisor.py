"""Runs the bed's long-lived parts, and starts again what ends; how often is decided in ``supervision.py``."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from kiosk.bedside import supervision
from kiosk.errors import KioskError

log = logging.getLogger(__name__)

Part = Callable[[], Coroutine[Any, Any, None]]


class PartsFail(KioskError, RuntimeError):
    """Parts of the bed end again and again: the process must be started anew."""


async def supervise(parts: Mapping[str, Part]) -> None:
    """Run *parts* (by name) until cancelled. Raises :exc:`PartsFail` when to start one again is of no use."""
    restarts = supervision.Restarts()
    running = {asyncio.create_task(part(), name=name): part for name, part in parts.items()}
    try:
        while True:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                part, name = running.pop(task), task.get_name()
                error = asyncio.CancelledError() if task.cancelled() else task.exception()
                log.error("x %s ended, which it must not", name, exc_info=error)
                restarts, verdict = supervision.ended(restarts, now=time.monotonic())
                if verdict is supervision.Verdict.GIVE_UP:
                    raise PartsFail(
                        f"{name} failed ({type(error).__name__}: {error}); parts were started again"
                        f" {supervision.MAX_RESTARTS} times within {supervision.WITHIN_S:.0f} s: the bed ends"
                    )
                running[asyncio.create_task(part(), name=name)] = part
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
