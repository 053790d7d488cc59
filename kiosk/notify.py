"""What systemd is told: ready, status, alive, stopping. Silent when systemd did not start us.

Everything runs on the event loop's thread and never waits for systemd. systemd-python's ``daemon.notify`` would: it
sends a datagram, and where systemd does not read them it waits with Python's lock held, so that no thread of the
process goes on. Therefore each is sent only when there is room for it. What is told once (ready, status, stopping)
is kept, the newest status only, and sent as soon as there is; that we live is true only now, and is lost.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import logging
import os
import select
import socket
from typing import Any

log = logging.getLogger(__name__)

AGAIN_S = 0.5
"""Between two looks whether systemd reads again."""


class Notifier:
    """systemd-python's ``daemon.notify`` where ``NOTIFY_SOCKET`` is set, nothing elsewhere."""

    def __init__(self) -> None:
        self._daemon: Any = None
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._owed: dict[str, str] = {}
        self._looking: asyncio.TimerHandle | None = None
        self._unheard = False
        if not self._address:
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
        self._owe("READY", "1")

    def status(self, words: str) -> None:
        """One line for ``systemctl status``."""
        self._owe("STATUS", words)

    def alive(self) -> None:
        """Feed the watchdog."""
        if self._daemon is not None:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """An orderly end has begun."""
        self._owe("STOPPING", "1")

    def _owe(self, name: str, value: str) -> None:
        if self._daemon is not None:
            self._owed[name] = value
            self._pay()

    def _pay(self) -> None:
        """Send what is owed, in the order in which it was said, as far as there is room."""
        while self._owed:
            name, value = next(iter(self._owed.items()))
            if not self._send(f"{name}={value}"):
                self._look_again()
                return
            del self._owed[name]

    def _look_again(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        self._looking = asyncio.get_running_loop().call_later(AGAIN_S, self._pay)

    def _send(self, state: str) -> bool:
        """Whether *state* is with systemd; why it is not is logged once, until it hears us again."""
        try:
            self._require_room()
            self._daemon.notify(state)
        except OSError as error:
            if not self._unheard:
                log.warning("x systemd does not hear us: %s", error)
            self._unheard = True
            return False
        if self._unheard:
            log.info("- systemd hears us again")
        self._unheard = False
        return True

    def _require_room(self) -> None:
        """Raise :exc:`OSError` when a datagram would have to wait."""
        abstract = self._address.startswith("@")  # the name has no file (Linux)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            probe.connect("\0" + self._address[1:] if abstract else self._address)
            room = select.poll()
            room.register(probe, select.POLLOUT)
            if not room.poll(0):
                raise BlockingIOError(errno.EAGAIN, "it does not read what it is sent")
