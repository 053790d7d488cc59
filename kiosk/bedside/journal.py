"""The bed's journal: what must survive a crash or a power cut, as records of text that tell when they are damaged.

Pure: time is an argument; the file is ``journal_file.py``'s.

Theory of operation
===================

The file is append-only. Each record holds *all* that must survive, so the newest intact one is the truth, and the
damage of one record never reaches another::

    <newline>CRC-32 in 8 hexadecimal digits<space>JSON<newline>

Rule 1. A record begins and ends with a newline of its own. So one that was torn by a power cut, or whose newline
was damaged, cannot swallow the next, and appending after a torn one needs no repair.

Rule 2. A record counts only if its checksum and its JSON are right. Everything else is damage: it is told in
words, and never stops the device.

Rule 3. The highest sequence number wins, wherever it stands in the file.

Rule 4. A request's age, and how long it has waited anew, are kept as they were when the record was written,
together with the wall clock's time of writing. What the clock adds at the next start is believed only if it is
plausible: a bed without a clock battery may start in the past, and a clock may have been set while the request was
open.

Rule 5. What a bed may be told by its settings (priority, kind of call, seat) is not kept: they are read again.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from kiosk.bedside.request_state import MAX_UNCONFIRMED_CLOSES
from kiosk.signaling.messages import ClosedRequest, OpenRequest, Origin, Phase
from kiosk.signaling.vocabulary import Millis, Token

MAX_AWAY_MS = 7 * 24 * 3600 * 1000
"""A bed that seems to have been without power for longer has had its clock set."""


class KeptRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The open request. ``phase`` is never ``talking``: a call does not survive."""

    request_id: Token
    age: Millis
    presses: Annotated[int, Meta(ge=1)] = 1
    origin: Origin = Origin.CALL_BUTTON
    phase: Phase = Phase.WAITING
    spoken: bool = False
    waited: Millis | None = None
    """Since the press that asked again after an answer, as the wire has it; grows like ``age``."""
    alarm: bool = False
    """The desk had said that nobody answers."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """All that must survive: the open request, and the closes the desk has not confirmed."""

    request: KeptRequest | None = None
    closed: Annotated[tuple[ClosedRequest, ...], Meta(max_length=MAX_UNCONFIRMED_CLOSES)] = ()

    def says_the_same_as(self, other: Kept) -> bool:
        """Whether nothing happened between the two: a request only grows older."""
        return _ageless(self) == _ageless(other)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the journal. ``at`` is the wall clock, in milliseconds since 1970."""

    seq: Annotated[int, Meta(ge=1)]
    at: int
    kept: Kept


@dataclass(frozen=True)
class Replay:
    """What a journal holds: its newest intact record, and in words what is damaged."""

    newest: Record | None = None
    damage: str = ""

    @property
    def seq(self) -> int:
        """The newest record's number; 0 = there is none."""
        return self.newest.seq if self.newest is not None else 0

    def kept(self, *, now: int) -> Kept:
        """What survived, with the age it has at *now* (wall clock, milliseconds)."""
        if self.newest is None:
            return Kept()
        kept, away = self.newest.kept, now - self.newest.at
        if kept.request is None or not 0 < away <= MAX_AWAY_MS:
            return kept
        waited = None if kept.request.waited is None else kept.request.waited + away
        older = msgspec.structs.replace(kept.request, age=kept.request.age + away, waited=waited)
        return msgspec.structs.replace(kept, request=older)


def told(
    request: OpenRequest | None, closed: tuple[ClosedRequest, ...], *, spoken: bool, alarm: bool = False
) -> Kept:
    """What to keep of *request*; *spoken*: people are speaking in the call that is on; *alarm*: nobody answers."""
    if request is None:
        return Kept(closed=closed)
    return Kept(
        request=KeptRequest(
            request_id=request.request_id,
            age=request.age,
            presses=request.presses,
            origin=request.origin,
            phase=Phase.ANSWERED if request.phase is Phase.ANSWERED else Phase.WAITING,
            spoken=request.spoken or spoken,
            waited=request.waited,
            alarm=alarm,
        ),
        closed=closed,
    )


def encode(record: Record) -> bytes:
    """The bytes of *record*, to be appended."""
    body = _encoder.encode(record)
    return b"\n%08x %b\n" % (zlib.crc32(body), body)


def scan(raw: bytes) -> Replay:
    """Read a journal, whatever it holds; never raises."""
    newest: Record | None = None
    damaged = 0
    torn = False
    for line in raw.split(b"\n"):
        if not line:
            continue
        record = _intact(line)
        torn = record is None
        if record is None:
            damaged += 1
        elif newest is None or record.seq >= newest.seq:
            newest = record
    return Replay(newest, _in_words(damaged, torn=torn))


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)
_LINE = re.compile(rb"([0-9a-f]{8}) (.*)", re.DOTALL)


def _intact(line: bytes) -> Record | None:
    found = _LINE.fullmatch(line)
    if found is None or found[1] != b"%08x" % zlib.crc32(found[2]):
        return None
    try:
        return _decoder.decode(found[2])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):  # written by another version
        return None


def _in_words(damaged: int, *, torn: bool) -> str:
    if torn:
        return "the newest record is damaged: a press may be missing"
    return f"{damaged} older record{'s are' if damaged > 1 else ' is'} damaged" if damaged else ""


def _ageless(kept: Kept) -> Kept:
    if kept.request is None:
        return kept
    waited = None if kept.request.waited is None else 0
    return msgspec.structs.replace(kept, request=msgspec.structs.replace(kept.request, age=0, waited=waited))
