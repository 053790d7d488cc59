"""Percentiles. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(samples: Sequence[float], per_cent: float) -> float:
    """The nearest-rank percentile of *samples*, which must not be empty."""
    ordered = sorted(samples)
    rank = max(1, math.ceil(per_cent / 100 * len(ordered)))
    return ordered[rank - 1]
