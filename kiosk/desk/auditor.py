"""Writes the desk's audit log: the shell around ``audit.py``, and what a ``kiosk desk`` command writes beside it.

:class:`Auditor` is used on the event loop's thread and returns at once; the history's own thread writes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import pwd
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from kiosk.desk.audit import (
    KNOWN_EACH,
    KNOWN_IN_ALL,
    MAX_DETAIL,
    REFUSED_EACH,
    REFUSED_IN_ALL,
    WINDOW_S,
    Act,
    Audited,
    Limit,
)
from kiosk.desk.history import FILE_NAME, HistoryError, write_now
from kiosk.settings import Desk

log = logging.getLogger(__name__)


class Auditor:
    """The audit log of a desk that runs; *keep* takes each line with its wall clock, Unix seconds."""

    def __init__(self, keep: Callable[[Act, float], None]) -> None:
        self._keep = keep
        self._refused = Limit(each=REFUSED_EACH, in_all=REFUSED_IN_ALL)
        self._known = Limit(each=KNOWN_EACH, in_all=KNOWN_IN_ALL)
        self._came_from: dict[str, str] = {}
        """The last address of each bed; only a good ticket brings one here."""
        self._telling: asyncio.TimerHandle | None = None

    def started(self, settings: Desk) -> None:
        """The desk begins with *settings*."""
        self._write(Act(Audited.DESK_STARTED, reason=fingerprint(settings), detail=changed_keys(settings)))

    def refused(self, user_id: str, address: str, reason: str) -> None:
        """A sign-in was refused; *reason* is the wire's code. *user_id* is no text that a person only typed."""
        act = Act(Audited.SIGN_IN_REFUSED, user_id, address=address, reason=reason)
        self._limited(self._refused, address, act)

    def bed_signed_in(self, user_id: str, address: str) -> None:
        """A bed has connected: told when it comes from another address than before."""
        if self._came_from.get(user_id) != address:
            self._came_from[user_id] = address
            self.known(Act(Audited.SIGNED_IN, user_id, address=address, reason="usersig"))

    def known(self, act: Act) -> None:
        """Something that a user with a good ticket or passphrase did."""
        self._limited(self._known, act.user_id, act)

    def close(self) -> None:
        """Tell what was only counted."""
        if self._telling is not None:
            self._telling.cancel()
        for limit in (self._refused, self._known):
            self._write(*limit.rest())

    def _limited(self, limit: Limit, key: str, act: Act) -> None:
        now = time.monotonic()
        self._write(*limit.over(now=now))
        if limit.passes(act, key=key, now=now):
            self._write(act)
        elif self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(WINDOW_S, self._tell_rest)

    def _tell_rest(self) -> None:
        self._telling = None
        for limit in (self._refused, self._known):
            self._write(*limit.rest())

    def _write(self, *acts: Act) -> None:
        for act in acts:
            self._keep(act, time.time())


def note_command(data: Path, act: Act) -> None:
    """Add what a command did to the audit log in *data*, also while a desk runs.

    What the command is for is done all the same: a log that cannot be written is said on its standard error.
    """
    try:
        write_now(data / FILE_NAME, replace(act, by=_account()), time.time())
    except HistoryError as error:
        log.warning("x the audit log does not have this: %s", error)


def fingerprint(settings: Desk) -> str:
    """Tells whether two desks' settings are the same, and not what they are."""
    encoded = msgspec.json.encode(settings, order="sorted")
    return hashlib.sha256(encoded).hexdigest()[:16]


def changed_keys(settings: Desk) -> str:
    """The keys that differ from the vendor's defaults; never their values."""
    vendor = Desk()
    changed = [
        f"desk.{name}" for name in settings.__struct_fields__ if getattr(settings, name) != getattr(vendor, name)
    ]
    return " ".join(changed)[:MAX_DETAIL]


def _account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
