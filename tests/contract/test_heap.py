"""The heap gives back what is free: seen in a process of its own, since it is set once and for good."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from kiosk.media import heap

FREED = """
import numpy as np, os
from kiosk.bench.process import rss_mb
from kiosk.media.heap import keep_heaps_few, trim_heap
assert keep_heaps_few()
many = [np.ones(100_000, np.uint8) for _ in range(500)]
last = np.ones(100_000, np.uint8)  # lies above them, so that the heap cannot just get shorter
before = rss_mb(os.getpid())
del many
trim_heap()
print(before - rss_mb(os.getpid()))
"""


def test_what_is_freed_goes_back_to_the_system_though_something_lies_above_it() -> None:
    ran = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, timeout=60, check=True)
    assert float(ran.stdout) > 500 * 0.1 / 2


COLLECTED = """
import gc
from kiosk.media.heap import leave_out_what_is_there
class Kept: pass
one = Kept()
leave_out_what_is_there()
assert not any(found is one for found in gc.get_objects())
two = Kept()
two.itself = two
del two
print(gc.collect())
"""


def test_what_was_there_is_looked_at_no_more_and_what_comes_after_is_collected() -> None:
    ran = subprocess.run([sys.executable, "-c", COLLECTED], capture_output=True, text=True, timeout=60, check=True)
    assert int(ran.stdout) > 0


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not heap.keep_heaps_few()
    heap.trim_heap()
