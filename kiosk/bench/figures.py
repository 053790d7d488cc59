"""Figures of a benchmark: samples, their percentiles, and the budgets they must keep. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kiosk.percentiles import percentile as percentile

NAME_WIDTH = 56


@dataclass(frozen=True)
class Budget:
    """The 95th percentile must not be above ``must``; ``aim`` is what we hope for. Milliseconds."""

    must: float
    aim: float


@dataclass(frozen=True)
class Figure:
    """One measured quantity in milliseconds."""

    name: str
    samples: Sequence[float]
    budget: Budget | None = None
    baseline: Sequence[float] = ()

    @property
    def missed(self) -> bool:
        """Nothing was measured, or the budget is missed."""
        if not self.samples:
            return True
        return self.budget is not None and percentile(self.samples, 95) > self.budget.must

    def row(self) -> str:
        """One line of the table."""
        if not self.samples:
            return f"{self.name:<{NAME_WIDTH}} never measured"
        cells = [percentile(self.samples, 50), percentile(self.samples, 95), max(self.samples)]
        text = f"{self.name:<{NAME_WIDTH}}" + "".join(f"{cell:>9.1f}" for cell in cells)
        text += f"{self.budget.must:>9.0f}{self.budget.aim:>7.0f}" if self.budget else " " * 16
        if self.baseline:
            text += f"{percentile(self.baseline, 50):>10.1f}{percentile(self.baseline, 95):>9.1f}"
        return text + ("   MISSED" if self.missed else "")


_CELLS = f"{'p50':>9}{'p95':>9}{'max':>9}{'must':>9}{'aim':>7}{'base p50':>10}{'base p95':>9}"
HEADLINE = f"{'milliseconds':<{NAME_WIDTH}}{_CELLS}"
