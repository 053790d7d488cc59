"""Whoever opens a device must end its thread."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def no_thread_left() -> Iterator[None]:
    """Fail when a thread that began inside still lives at the end."""
    with contextlib.suppress(ImportError):
        importlib.import_module("lgpio")  # starts a thread of its own, once and for good
    before = set(threading.enumerate())
    yield
    left = [thread.name for thread in set(threading.enumerate()) - before if thread.is_alive()]
    assert not left, f"threads left: {left}"
