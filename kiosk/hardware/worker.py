"""A device's own thread: started, asked to stop, waited for with an end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

JOIN_TIMEOUT_S = 2.0
"""A device that does not let go within this time is left behind on its daemon thread, and logged."""


class Worker:
    """Runs *work* on a thread from :meth:`start` to :meth:`stop`; *work* must look at ``stopping`` often."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._thread: threading.Thread | None = None
        self.stopping = threading.Event()

    def start(self) -> None:
        """Begin. A worker that runs already goes on."""
        if self._thread is None:
            self.stopping.clear()
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ask to stop and wait. May be called twice, and on the worker's own thread (then it does not wait)."""
        self.stopping.set()
        thread, self._thread = self._thread, None
        if thread is None or thread is threading.current_thread():
            return
        thread.join(JOIN_TIMEOUT_S)
        if thread.is_alive():
            log.warning("x %s does not stop: left behind", self._name)
