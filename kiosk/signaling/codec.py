"""From messages to text and back. Whatever arrives is a message or a :exc:`BadMessage`; nothing else is raised.

Pure.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from kiosk.errors import BadMessage, explain
from kiosk.signaling import messages as wire

M = TypeVar("M", bound=wire.Message)
T = TypeVar("T")


def without_id(message: M) -> M:
    """*message* as it is passed on: an ``id`` concerns only its sender and the one who answers it."""
    return msgspec.structs.replace(message, id=UNSET)


def answering(message: wire.Message, asked: wire.Message | None) -> wire.Message:
    """*message*, carrying the ``id`` of *asked* if it is the fault that answers it."""
    if asked is None or not isinstance(message, wire.Fault):
        return message
    return msgspec.structs.replace(message, id=asked.id)


_encoder = msgspec.json.Encoder()


def encode(message: wire.Message) -> str:
    """The JSON text of *message*."""
    return _encoder.encode(message).decode()


class Decoder:
    """Decodes one direction of the wire; make one per direction and keep it."""

    def __init__(self, directions: object) -> None:
        self._decoder: msgspec.json.Decoder[wire.Message] = msgspec.json.Decoder(directions)

    def decode(self, text: str | bytes) -> wire.Message:
        """Decode *text* or raise :exc:`BadMessage` that says what is wrong and in which field."""
        raw = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
        if len(raw) > wire.MAX_MESSAGE_BYTES:
            raise BadMessage(
                wire.ErrorCode.TOO_LARGE,
                f"message of {len(raw)} bytes; at most {wire.MAX_MESSAGE_BYTES} are allowed",
            )
        return decode_json(self._decoder, raw)


def decode_json(decoder: msgspec.json.Decoder[T], raw: bytes) -> T:
    """Decode *raw* or raise :exc:`BadMessage`, whatever it holds."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        what, field = explain(error)
        code = wire.ErrorCode.UNKNOWN_TYPE if what.startswith("Invalid value '") else wire.ErrorCode.BAD_MESSAGE
        raise BadMessage(code, what, field=field) from None
    except RecursionError:
        raise BadMessage(wire.ErrorCode.BAD_MESSAGE, "not a JSON object of this wire: nested too deep") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BadMessage(wire.ErrorCode.BAD_MESSAGE, f"not a JSON object of this wire: {error}") from None


class _Identified(msgspec.Struct):
    id: wire.Token | UnsetType = UNSET


def id_of(text: str | bytes) -> str | UnsetType:
    """The ``id`` of a message that cannot be decoded, if that much can be read: its fault shall carry it."""
    if len(text) > wire.MAX_MESSAGE_BYTES:
        return UNSET
    try:
        return _identified.decode(text).id
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return UNSET


_identified = msgspec.json.Decoder(_Identified)
