"""The one form that sound has at the bed: mono, signed 16 bit, 48 kHz, in blocks of 20 ms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 48_000
BLOCK_SAMPLES = 960
BLOCK_S = BLOCK_SAMPLES / SAMPLE_RATE

Block = NDArray[np.int16]
OnBlock = Callable[[Block], None]
OnFault = Callable[[str], None]
