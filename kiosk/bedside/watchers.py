"""Who may look on at the bed: the bedside view of the demo, a panel, a benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import av

from kiosk.bedside.call_quality import End
from kiosk.bedside.request_events import View
from kiosk.media.stages import Took, nobody
from kiosk.signaling.messages import Quality


class Trace(Protocol):
    """Takes a named moment; it happened *ago* seconds before the call."""

    def __call__(self, event: str, call_id: str = "", *, ago: float = 0.0) -> None: ...


def _no_trace(event: str, call_id: str = "", *, ago: float = 0.0) -> None:
    return


@dataclass
class Watchers:
    """Whoever wants to see what happens: the bedside view of the demo, a panel, a benchmark. Loop's thread."""

    view: Callable[[View, str], None] = lambda view, told: None
    """Lamp and words, whenever they change or are said again."""
    picture: Callable[[av.VideoFrame], None] | None = None
    """What the patient sees; None: there is no panel and pictures are dropped."""
    trace: Trace = _no_trace
    """Named moments of a call, for measuring."""
    took: Took = nobody
    """How long a stage of a picture or of sound took. Any thread."""
    quality: Callable[[End, Quality], None] = lambda end, told: None
    """How good the talk's connection is at either end, once a second."""
    pressed: Callable[[float], None] = lambda at: None
    """A button that asks was pressed at *at*, monotonic seconds: its own time, however late it is told."""
