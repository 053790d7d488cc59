"""What a seat is shown of requests, beds and colleagues.

Pure. Callers take them from :mod:`kiosk.signaling.messages`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from kiosk.signaling.vocabulary import (
    CallType,
    Devices,
    EndReason,
    Label,
    Millis,
    Origin,
    Priority,
    SeatState,
    Token,
    UserId,
)


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the seat's board."""

    request_id: Token
    bed_user: UserId
    ward: Label
    room: Label
    bed: Label
    priority: Priority
    presses: int
    call_type: CallType
    age: Millis
    state: Literal["waiting", "ringing", "talking", "answered", "deferred", "called"]
    """``called``: a seat calls the bed, which has not answered yet."""
    origin: Origin = Origin.CALL_BUTTON
    place: int = 0
    seat: UserId | None = None
    online: bool = True
    """False: the bed's link is down; the request stays."""
    spoken: bool = False
    """Speech has flowed both ways."""
    may_close: bool = False
    """This facility lets a seat close it now (``close_request`` with ``closed_by_seat``)."""
    devices: Devices = Devices()
    overdue: bool = False
    """Nobody has answered for too long: every seat that sees it sounds, and any of them may take it."""
    alerts: int = 0
    """How often it has sounded so; a page sounds when this rises."""


class BedView(msgspec.Struct, frozen=True, kw_only=True):
    """A bed that a seat may call."""

    user_id: UserId
    ward: Label = ""
    room: Label = ""
    bed: Label = ""
    online: bool = True
    request_id: Token | None = None
    """Its open request: the board says more of it."""


class SeatView(msgspec.Struct, frozen=True, kw_only=True):
    """A colleague."""

    user_id: UserId
    name: Label
    state: SeatState


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A seat of a talk: it is asked in, or it is in."""

    user_id: UserId
    name: Label
    state: Literal["ringing", "talking"]


class LeftMember(msgspec.Struct, frozen=True, kw_only=True):
    """A seat that is no longer asked, or no longer in, and why."""

    user_id: UserId
    reason: EndReason
