"""The heap gives pictures back to the system: seen in a process of its own, since it is set once and for good."""

from __future__ import annotations

import subprocess
import sys

PICTURE = """
import numpy as np, os
from kiosk.bench.process import rss_mb
from kiosk.media.heap import keep_heap_small
assert keep_heap_small()
for _ in range(20):  # glibc would learn from the first that is freed to keep them
    np.ones(1_400_000, np.uint8)
many = [np.ones(1_400_000, np.uint8) for _ in range(50)]
last = np.ones(1_400_000, np.uint8)  # lies above them in a heap, so that it could not shrink
before = rss_mb(os.getpid())
del many
print(before - rss_mb(os.getpid()))
"""


def test_what_pictures_took_goes_back_to_the_system() -> None:
    ran = subprocess.run([sys.executable, "-c", PICTURE], capture_output=True, text=True, timeout=60, check=True)
    assert float(ran.stdout) > 50 * 1.4 / 2
