"""The waits of the bed's calls, one a call at most. Runs on the event loop's thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from kiosk.bedside import call_events, media_effects


class CallTimers:
    """The one wait of each call. *ran_out* is called on the loop."""

    def __init__(self, ran_out: Callable[[call_events.TimedOut], None]) -> None:
        self._ran_out = ran_out
        self._running: dict[str, asyncio.TimerHandle] = {}

    def start(self, effect: media_effects.StartTimer) -> None:
        """Wait; an earlier wait of the same call is over."""
        self.stop(effect.call_id)

        def ran_out() -> None:
            del self._running[effect.call_id]
            self._ran_out(call_events.TimedOut(effect.call_id, effect.timer, time.monotonic()))

        self._running[effect.call_id] = asyncio.get_running_loop().call_later(effect.seconds, ran_out)

    def stop(self, call_id: str) -> None:
        """Wait no more."""
        running = self._running.pop(call_id, None)
        if running is not None:
            running.cancel()

    def stop_all(self) -> None:
        """Wait for nothing."""
        for call_id in list(self._running):
            self.stop(call_id)
