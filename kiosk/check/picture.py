"""Whether a camera's picture is one: not black, not white, not blank, not frozen.

Pure. A picture is its luma, height × width, in video range: 16 is black, 235 white.

Theory of operation
===================

A covered lens and a broken sensor look alike, and so does a dark room: the words name all of them. Only the
extremes are faults, since a dim picture is better than none.

===========================  ======================================  ========
found                        when                                    verdict
===========================  ======================================  ========
no picture                   none came in its time                   fault
black                        all but 5 % is darker than ``BLACK``    fault
white                        all but 5 % is brighter than ``WHITE``  fault
blank                        hardly anything differs in it           fault
frozen                       no dot of it changed in a second        fault
dim                          its middle is below ``DIM``             warning
===========================  ======================================  ========

A real sensor's noise changes each picture, also of a still room: only a stalled one repeats itself to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kiosk.check.findings import Finding, Part, doubtful, faulty, fine

BLACK, WHITE = 32.0, 220.0
DIM = 45.0
BLANK_SPREAD = 2.0
"""Standard deviation of the luma, in steps: a sensor's noise alone makes 1 to 2."""
FEW = 5
"""Per cent that may stick out of a black or a white picture: a lit LED, a burnt dot."""

Luma = NDArray[np.uint8]


@dataclass(frozen=True)
class Seen:
    """What a camera delivered. *last* is its newest picture, *earlier* one of about a second before."""

    pictures: int = 0
    last: Luma | None = None
    earlier: Luma | None = None
    fault: str = ""
    """What the device said itself."""


def judge(seen: Seen) -> Finding:
    """What is to be said of the camera."""
    if seen.fault:
        return faulty(Part.CAMERA, "device_fault", why=seen.fault)
    if seen.last is None:
        return faulty(Part.CAMERA, "camera_no_picture")
    low, middle, high = (float(value) for value in np.percentile(seen.last, (FEW, 50, 100 - FEW)))
    if high < BLACK:
        return faulty(Part.CAMERA, "camera_black")
    if low > WHITE:
        return faulty(Part.CAMERA, "camera_white")
    if float(np.std(seen.last)) < BLANK_SPREAD:
        return faulty(Part.CAMERA, "camera_blank")
    if seen.earlier is not None and np.array_equal(seen.earlier, seen.last):
        return faulty(Part.CAMERA, "camera_frozen")
    height, width = seen.last.shape
    told = doubtful if middle < DIM else fine
    code = "camera_dim" if middle < DIM else "camera_ok"
    return told(Part.CAMERA, code, width=width, height=height, brightness=_per_cent(middle))


def _per_cent(luma: float) -> int:
    return round(min(100.0, max(0.0, (luma - 16) / (235 - 16) * 100)))
