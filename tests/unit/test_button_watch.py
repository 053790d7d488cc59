"""From the edges of a button to presses, when the loop is busy and hears of them late."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import pytest

from kiosk.bedside.buttons import Actions, ButtonWatch
from kiosk.hardware.button import Button, Edge
from tests.waiting import until

BOUNCE_S = 0.3
"""Long: a slow machine must not take it for a pause."""


class TouchedButton(Button):
    """Moved by the test, which also says when."""

    name = "touched"

    def __init__(self) -> None:
        self._tell: Callable[[Edge], None] = lambda edge: None
        self._down = False

    def start(self, on_edge: Callable[[Edge], None]) -> None:
        self._tell = on_edge

    def moves(self, *, down: bool, at: float) -> None:
        self._down = down
        self._tell(Edge(down, at))

    def level(self) -> bool:
        return self._down

    def close(self) -> None:
        return


@pytest.mark.promise("R07")
async def test_chatter_that_is_heard_only_after_the_bounce_time_is_no_second_press() -> None:
    button, happened = TouchedButton(), list[str]()
    watch = ButtonWatch(
        button,
        bounce=BOUNCE_S,
        actions=Actions(
            pressed=lambda at: happened.append("pressed"), released=lambda at: happened.append("released")
        ),
    )
    watch.start()
    running = asyncio.create_task(watch.run())
    began = time.monotonic()
    button.moves(down=True, at=began)
    button.moves(down=False, at=began + 0.001)
    await until(lambda: happened == ["pressed"], "the press is seen")
    await asyncio.sleep(0)  # the break is seen too
    button.moves(down=True, at=began + 0.002)
    button.moves(down=False, at=began + 0.003)
    time.sleep(2 * BOUNCE_S)  # noqa: ASYNC251  (the busy loop itself)
    await until(lambda: "released" in happened, "the release is seen")
    assert happened == ["pressed", "released"]
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
