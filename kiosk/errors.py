"""Every error this project raises on purpose.

One base, :exc:`KioskError`; each error also inherits the built-in it specialises, so callers that know
nothing of us still catch it. A *local* fault is ours to mend; a :exc:`RemoteFault` came from the other end
of a wire and never means that our own state is wrong.
"""

from __future__ import annotations

import re


class KioskError(Exception):
    """Base of all errors of this project; its text is fit to show to a technician."""


class SettingsError(KioskError, ValueError):
    """A setting is wrong: the text names file, key, value and what is allowed."""


class CredentialError(KioskError, PermissionError):
    """A UserSig was refused. ``code`` is one of the ``ErrorCode`` values of the wire."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class LocalProtocolError(KioskError, RuntimeError):
    """Our own side asked a state machine for something its table does not allow; the state did not move."""


class RemoteFault(KioskError):
    """The other end sent something wrong or refused us. ``code`` and ``field`` are those of the wire."""

    def __init__(self, code: str, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.field = field


class BadMessage(RemoteFault, ValueError):
    """A message could not be decoded or breaks the schema."""


class Refused(RemoteFault, PermissionError):
    """The desk refused the login; ``code`` says why."""


class HardwareFault(KioskError, OSError):
    """A device is missing or stopped working; the text names the device and what to check."""


class MediaError(KioskError, RuntimeError):
    """A media connection could not be made or broke."""


class PortInUse(KioskError, OSError):
    """The address to listen on is taken; the text names it and the setting to change."""


class BudgetMissed(KioskError, AssertionError):
    """A benchmark measured a figure above its budget."""


_WHOLE_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `(.*)`", re.DOTALL)
MAX_QUOTED = 200
"""Characters of somebody else's text that an error repeats."""


def explain(error: Exception) -> tuple[str, str]:
    """What a ``msgspec.ValidationError`` says is wrong, and where: ``("Expected `int`, got `str`", "a.b[0]")``.

    msgspec places a field that is missing or unknown at its parent; here it is where it should be; a wrong key or
    value of a table of free keys is at the table. What was
    received may be repeated: that is cut short, and cannot break a log's line.
    """
    head, found, tail = str(error).rpartition(" - at `")
    what, path = (head, tail) if found else (tail, "")
    where = path.removeprefix("key` in `").rstrip("`").removeprefix("$").removeprefix(".").removesuffix("[...]")
    field = _WHOLE_FIELD.fullmatch(what)
    if field:
        where = f"{where}.{field[1]}".removeprefix(".")
    return _printable(what), _printable(where)


def _printable(text: str) -> str:
    cut = text if len(text) <= MAX_QUOTED else f"{text[: MAX_QUOTED - 1]}…"
    return "".join(character if character.isprintable() else "?" for character in cut)
