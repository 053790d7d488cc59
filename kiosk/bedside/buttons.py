"""One push button: its raw edges go through the pure debounce, and come out as calls on the event loop.

Threads: the hardware calls :meth:`ButtonWatch._on_edge` on its own thread; that is the one place where edges
cross into the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from kiosk.bedside import debounce
from kiosk.hardware.button import Button, Edge

MAX_EDGES = 1000
"""Edges that may wait for the loop: far more than a bouncing contact makes while the loop is busy."""


def _nothing(at: float) -> None:
    return


@dataclass(frozen=True)
class Actions:
    """What a button does; each gets the monotonic time of the edge. Called on the loop's thread."""

    pressed: Callable[[float], None] = _nothing
    held: Callable[[float], None] = _nothing
    released: Callable[[float], None] = _nothing
    stuck: Callable[[float], None] = _nothing
    freed: Callable[[float], None] = _nothing


class ButtonWatch:
    """Watches *button* from :meth:`start` to :meth:`close`, as long as :meth:`run` does."""

    def __init__(
        self,
        button: Button,
        *,
        bounce: float,
        actions: Actions,
        hold: float | None = None,
        stuck: float | None = None,
    ) -> None:
        self._button = button
        self.name = button.name
        self._act: dict[type[debounce.Event], Callable[[float], None]] = {
            debounce.Pressed: actions.pressed,
            debounce.Held: actions.held,
            debounce.Released: actions.released,
            debounce.Stuck: actions.stuck,
            debounce.Freed: actions.freed,
        }
        self._state = debounce.Button(bounce=bounce, hold=hold, stuck=stuck)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._edges: asyncio.Queue[Edge] = asyncio.Queue(MAX_EDGES)
        self.looked_at = 0.0
        """When the level was read last."""
        self.pressed_at: float | None = None
        """When it was pressed last."""

    def start(self) -> None:
        """Begin; a contact that is closed already counts as a press now."""
        self._loop = asyncio.get_running_loop()
        self._button.start(self._on_edge)
        self._look()

    async def run(self) -> None:
        """Follow edges and look at the level, until cancelled.

        What the button or an action raises ends it; it may be run again, and then does anew what was not done.
        """
        while True:
            edge = await self._next_edge()
            if edge is None:
                self._look()
            else:
                self._saw(debounce.Edge(edge.active, edge.at))

    async def _next_edge(self) -> Edge | None:
        due = debounce.next_look(self._state)
        regular = self.looked_at + debounce.REREAD_S
        try:
            # asyncio's clock is time.monotonic() on Linux, as is that of the edges.
            async with asyncio.timeout_at(regular if due is None else min(due, regular)):
                return await self._edges.get()
        except TimeoutError:
            pass
        # A busy loop finds the edges of the time it was away beside the time-out: they were first, and what the
        # level says now must not be taken for what it was then.
        await asyncio.sleep(0)
        with contextlib.suppress(asyncio.QueueEmpty):
            return self._edges.get_nowait()
        return None

    def close(self) -> None:
        """Stop watching and let the pin go."""
        self._loop = None
        self._button.close()

    def _on_edge(self, edge: Edge) -> None:
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._queue, edge)

    def _queue(self, edge: Edge) -> None:
        with contextlib.suppress(asyncio.QueueFull):  # the next look at the level makes up for it
            self._edges.put_nowait(edge)

    def _look(self) -> None:
        self.looked_at = time.monotonic()  # before: what the level is later, it need not have been for so long
        self._saw(debounce.Look(self._button.level(), self.looked_at))

    def _saw(self, seen: debounce.Edge | debounce.Look) -> None:
        state, events = debounce.step(self._state, seen)
        for event in events:
            if isinstance(event, debounce.Pressed):
                self.pressed_at = event.at
            self._act[type(event)](event.at)
        self._state = state
