"""One push button: its raw edges go through the pure debounce, and come out as calls on the event loop.

Threads: the hardware calls :meth:`ButtonWatch._on_edge` on its own thread; that is the one place where edges
cross into the loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from kiosk.bedside import debounce
from kiosk.hardware.button import Button, Edge


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
    """Watches *button* from :meth:`start` to :meth:`close`."""

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
        self._act: dict[type[debounce.Event], Callable[[float], None]] = {
            debounce.Pressed: actions.pressed,
            debounce.Held: actions.held,
            debounce.Released: actions.released,
            debounce.Stuck: actions.stuck,
            debounce.Freed: actions.freed,
        }
        self._state = debounce.Button(bounce=bounce, hold=hold, stuck=stuck)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; a contact that is closed already counts as a press now."""
        self._loop = asyncio.get_running_loop()
        self._button.start(self._on_edge)
        self._look_now()

    def close(self) -> None:
        """Stop watching and let the pin go."""
        self._loop = None
        if self._look is not None:
            self._look.cancel()
        self._button.close()

    def _on_edge(self, edge: Edge) -> None:
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._saw, debounce.Edge(edge.active, edge.at))

    def _look_now(self) -> None:
        self._saw(debounce.Look(self._button.level(), time.monotonic()))

    def _saw(self, seen: debounce.Edge | debounce.Look) -> None:
        if self._loop is None:
            return
        self._state, events = debounce.step(self._state, seen)
        for event in events:
            self._act[type(event)](event.at)
        due = debounce.next_look(self._state)
        regular = time.monotonic() + debounce.REREAD_S
        if self._look is not None:
            self._look.cancel()
        # asyncio's clock is time.monotonic() on Linux, as is that of the edges.
        self._look = self._loop.call_at(min(due, regular) if due is not None else regular, self._look_now)
