"""What systemd is told: ready, status, alive, stopping. Silent when systemd did not start us."""

from __future__ import annotations

import importlib
import logging
import os
from typing import Any

log = logging.getLogger(__name__)


class Notifier:
    """systemd-python's ``daemon.notify`` where ``NOTIFY_SOCKET`` is set, nothing elsewhere."""

    def __init__(self) -> None:
        self._daemon: Any = None
        self._unheard = False
        if "NOTIFY_SOCKET" not in os.environ:
            return
        try:
            self._daemon = importlib.import_module("systemd.daemon")
        except ImportError:
            log.warning("- started by systemd, but systemd-python is missing: no readiness, no watchdog")

    @property
    def watchdog_s(self) -> float | None:
        """How often :meth:`alive` must be called, or None: half of ``WatchdogSec``, as systemd advises."""
        if self._daemon is None or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
            return None
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        return int(microseconds) / 2_000_000 if microseconds.isdigit() and int(microseconds) else None

    def ready(self) -> None:
        """The bed's button works; the desk listens."""
        self._send("READY=1")

    def status(self, words: str) -> None:
        """One line for ``systemctl status``."""
        self._send(f"STATUS={words}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """An orderly end has begun."""
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if self._daemon is None:
            return
        try:
            self._daemon.notify(state)
        except OSError as error:
            if not self._unheard:
                log.warning("x systemd does not hear us: %s", error)
            self._unheard = True
