"""What a self-test finds, as values: for the screen, the control socket and the stored history alike.

Pure. A finding carries a code and figures, no sentence: the sentence is made where it is read, in the reader's
language (``words.py``).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

Figure = Annotated[str, Meta(max_length=300)] | int | float
MAX_FIGURE_CHARS = 300
MAX_FINDINGS = 40
"""Of one test; there are 18 at most."""


class Part(enum.StrEnum):
    """What is tested, in this order."""

    BUTTON = "button"
    LAMP = "lamp"
    RELAY = "relay"
    MICROPHONE = "microphone"
    SPEAKER = "speaker"
    CAMERA = "camera"
    NETWORK = "network"
    TIME = "time"
    DESK = "desk"
    TURN = "turn"
    DISK = "disk"


class Verdict(enum.StrEnum):
    """What a finding means."""

    OK = "ok"
    WARNING = "warning"
    """It works, but somebody should look."""
    FAULT = "fault"
    SKIPPED = "skipped"
    """It was not tested, and the words say why."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found out about a part."""

    part: Part
    verdict: Verdict
    code: Annotated[str, Meta(max_length=64)]
    """Which sentence of ``words.py``."""
    figures: dict[Annotated[str, Meta(max_length=32)], Figure] = {}
    """What the sentence is filled with."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole self-test."""

    at: Annotated[int, Meta(ge=0)]
    """When it ended, Unix seconds by the bed's own clock."""
    version: Annotated[str, Meta(max_length=64)]
    """Of the program."""
    findings: Annotated[tuple[Finding, ...], Meta(max_length=MAX_FINDINGS)]

    @property
    def verdict(self) -> Verdict:
        """The worst of its findings; what was skipped does not count, unless all was."""
        return worst(finding.verdict for finding in self.findings)


_SEVERITY = (Verdict.SKIPPED, Verdict.OK, Verdict.WARNING, Verdict.FAULT)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The most serious of *verdicts*; of none: skipped."""
    return max(verdicts, key=_SEVERITY.index, default=Verdict.SKIPPED)


def fine(part: Part, code: str, **figures: Figure) -> Finding:
    """*part* is in order."""
    return _finding(part, Verdict.OK, code, figures)


def doubtful(part: Part, code: str, **figures: Figure) -> Finding:
    """*part* works, but somebody should look."""
    return _finding(part, Verdict.WARNING, code, figures)


def faulty(part: Part, code: str, **figures: Figure) -> Finding:
    """*part* does not work."""
    return _finding(part, Verdict.FAULT, code, figures)


def skipped(part: Part, code: str, **figures: Figure) -> Finding:
    """*part* was not tested."""
    return _finding(part, Verdict.SKIPPED, code, figures)


def _finding(part: Part, verdict: Verdict, code: str, figures: dict[str, Figure]) -> Finding:
    cut = {
        name: figure[:MAX_FIGURE_CHARS] if isinstance(figure, str) else figure for name, figure in figures.items()
    }
    return Finding(part=part, verdict=verdict, code=code, figures=cut)
