"""How long each stage of a call takes, from the named moments that the bed traces.

Pure: times are arguments (monotonic seconds).

Theory of operation
===================

A *story* begins with the first press and ends with its call, or when the patient takes the press back. A stage is
what lies between two moments of one story (``STAGES``). A moment that begins a stage and comes again before the
stage has ended begins it anew: each allocation of a request is timed from its own. The first press is the
exception: later ones of the same story begin nothing but the lamp and the disk, for they are merged into it.

Beside them stand the stages of each picture and each block of sound (:mod:`kiosk.media.stages`), which are told as
they are and belong to no story.

The last ``KEPT`` times of each stage are kept, of a picture's and a block's the last ``KEPT_OF_MEDIA``: a bed
that runs for months does not grow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from kiosk.media.stages import Stage as MediaStage
from kiosk.percentiles import percentile

KEPT = 1000
KEPT_OF_MEDIA = 3000
"""A minute of sound."""
EDGE = "edge"
CALL_ENDS = frozenset({"onCallEnd", "onCallNotConnected", "onUserReject", "onUserLineBusy", "onUserNoResponse"})
ENDS = CALL_ENDS | {"cancel"}


@dataclass(frozen=True)
class Stage:
    """From the moment ``begins`` to the moment ``ends``; ``each_press``: also of presses that are merged."""

    name: str
    begins: str
    ends: str
    each_press: bool = False


STAGES = (
    Stage("edge → lamp", EDGE, "lamp", each_press=True),
    Stage("edge → press on disk", EDGE, "request_on_disk", each_press=True),
    Stage("edge → taken by the desk", EDGE, "taken"),
    Stage("taken → seat allocated", "taken", "allocated"),
    Stage("allocated → offer made", "allocated", "offered"),
    Stage("offer made → seat rings", "offered", "onUserInviting"),
    Stage("offer made → media connected", "offered", "media_connected"),
    Stage("seat rings → accepted (a person)", "onUserInviting", "accepted"),
    Stage("accepted → gate open", "accepted", "gate"),
    Stage("gate open → first sound of the seat", "gate", "first_audio"),
    Stage("gate open → first picture of the seat", "gate", "first_video"),
    Stage("path lost → path rebuilt", "onConnectionLost", "onConnectionRecovery"),
)

HEADLINE = f"{'milliseconds':<40}{'times':>7}{'p50':>10}{'p95':>10}{'max':>10}"


class Latency:
    """Takes moments in the order in which they are told; one that is told late (``edge``) has its own time."""

    def __init__(self) -> None:
        self._begun: dict[Stage, float] = {}
        self._times: dict[Stage, deque[float]] = {stage: deque(maxlen=KEPT) for stage in STAGES}
        self._of_media: dict[MediaStage, deque[float]] = {
            stage: deque(maxlen=KEPT_OF_MEDIA) for stage in MediaStage
        }
        self._under_way = False

    def took(self, stage: MediaStage, seconds: float) -> None:
        """A picture or a block of sound took *seconds* for *stage*. Any thread."""
        self._of_media[stage].append(seconds)

    def note(self, event: str, at: float) -> None:
        """*event* happened at *at*."""
        for stage in STAGES:
            if event == stage.ends and stage in self._begun:
                self._times[stage].append(at - self._begun.pop(stage))
            if event == stage.begins and (event != EDGE or stage.each_press or not self._under_way):
                self._begun[stage] = at
        if event in ENDS:
            self._begun.clear()
            self._under_way = False
        elif event == EDGE:
            self._under_way = True

    def rows(self) -> Iterator[str]:
        """The table, of the stages that were seen."""
        yield HEADLINE
        named = [(stage.name, times) for stage, times in self._times.items()]
        named += [(stage.value, times) for stage, times in self._of_media.items()]
        for name, growing in named:
            times = tuple(growing)
            if times:
                cells = [percentile(times, 50), percentile(times, 95), max(times)]
                figures = "".join(f"{cell * 1000:>10.1f}" for cell in cells)
                yield f"{name:<40}{len(times):>7}{figures}"
