"""What every message on the wire has, and the limits of the wire.

Pure. Callers take all of it from :mod:`kiosk.signaling.messages`.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from kiosk.signaling.vocabulary import Token

PROTOCOL_VERSION = 1
MAX_MESSAGE_BYTES = 64 * 1024
"""Largest message either end accepts. A 720p audio + video SDP is about 6 KiB."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of every message. ``id`` asks for an :class:`Ack`."""

    id: Token | UnsetType = UNSET
