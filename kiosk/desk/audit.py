"""The audit log: who came in, who was kept out, and what was changed by whom. No patient, no secret.

Pure. The lines are kept beside the timelines (``history.py``) and made by ``auditor.py`` and the ``kiosk desk``
commands. What a stranger types is not copied: a user id is kept only where it is one of this desk's seats, or comes
well formed in a login, since people type passphrases into the wrong field.

Whoever fails a thousand sign-ins a second must not fill the disk. So a :class:`Limit` lets through, in each
``WINDOW_S``, so many lines of one key and so many in all; of the rest it keeps the number, and tells it in one line
when the window ends. For strangers that is at most ``REFUSED_IN_ALL`` + 1 lines in ten minutes, about a megabyte a
day; for users with a good ticket ``KNOWN_EACH`` lines each.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

WINDOW_S = 600.0
REFUSED_EACH = 5
"""Refusals of one address in a window that are told one by one."""
REFUSED_IN_ALL = 50
KNOWN_EACH = 20
"""Lines of one user that has a good ticket, in a window."""
KNOWN_IN_ALL = 50_000
"""More than a hospital has beds: when its power returns all of them sign in."""
MAX_DETAIL = 1000
"""Characters."""


class Audited(enum.StrEnum):
    """What a line tells."""

    DESK_STARTED = "desk_started"
    """``reason`` is the fingerprint of its settings, ``detail`` the keys that differ from the vendor's."""
    SIGNED_IN = "signed_in"
    """``reason`` says how: by ``passphrase`` or ``code`` at the page, by a ticket (``usersig``) on the wire. Of a
    bed only when it comes from another address than before."""
    SIGN_IN_REFUSED = "sign_in_refused"
    SIGNED_OUT = "signed_out"
    """A seat's connection has ended; ``reason`` is the desk's, empty when the page left."""
    PUT_OUT = "put_out"
    """By another login of the same user."""
    USERSIG_ISSUED = "usersig_issued"
    PASSPHRASE_SET = "passphrase_set"  # noqa: S105  (a word)
    CODE_MADE = "code_made"
    REQUEST_CLOSED = "request_closed"
    """By a seat; ``detail`` is the request's id."""
    EXPORTED = "exported"
    """``reason`` is what, ``detail`` since when and in which form."""
    MORE = "more"
    """So many further lines (``count``) of ``reason`` were not kept one by one."""
    MISSING = "missing"
    """So many lines (``count``) could not be written."""


@dataclass(frozen=True)
class Act:
    """One line; what does not apply is empty."""

    what: Audited
    user_id: str = ""
    by: str = ""
    """The account of this machine that ran a ``kiosk desk`` command."""
    address: str = ""
    reason: str = ""
    detail: str = ""
    count: int = 0


class Limit:
    """Lets through *each* lines of a key and *in_all* lines in a window, and counts the rest."""

    def __init__(self, *, each: int, in_all: int, window_s: float = WINDOW_S) -> None:
        self._each = each
        self._in_all = in_all
        self._window_s = window_s
        self._since = float("-inf")
        self._told: Counter[str] = Counter()
        self._rest: Counter[Audited] = Counter()

    def passes(self, act: Act, *, key: str, now: float) -> bool:
        """Whether *act* is told one by one at *now* (monotonic seconds); call :meth:`over` before."""
        if now - self._since >= self._window_s:
            self._since = now
            self._told.clear()
        if self._told[key] >= self._each or self._told.total() >= self._in_all:
            self._rest[act.what] += 1
            return False
        self._told[key] += 1
        return True

    def over(self, *, now: float) -> Sequence[Act]:
        """What is to be told of a window that has ended, once."""
        return () if now - self._since < self._window_s else self.rest()

    def rest(self) -> Sequence[Act]:
        """What was only counted, once."""
        told = [Act(Audited.MORE, reason=what.value, count=count) for what, count in self._rest.items()]
        self._rest.clear()
        return told
