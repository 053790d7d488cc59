"""UserSig: the signed, expiring ticket that says who a kiosk or a seat is (TLSSigAPIv2).

Pure: time is an argument. Source: tencentyun/tls-sig-api-v2-python at 5326113. The ticket is the zlib-compressed
JSON of the signed fields in a base64 whose ``+ / =`` are written ``* - _``. The HMAC-SHA256 is keyed
with the *text* of the SecretKey, never with its hex-decoded bytes. JSON key order is free, so two tickets are
compared by their decoded fields, not as strings.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import zlib
from dataclasses import dataclass, field

import msgspec

from kiosk.errors import CredentialError

__all__ = ["DEFAULT_TTL_S", "USER_ID_PATTERN", "Claims", "check_user_id", "read", "sign", "verify"]

USER_ID_PATTERN = r"^[A-Za-z0-9_-]{1,32}$(?!\n)"
"""A user id is 1 to 32 bytes of letters, digits, ``_`` and ``-`` (TUICalling). The look-ahead is for Python,
whose ``$`` also matches before a final line feed; in JSON Schema's dialect it changes nothing."""

DEFAULT_TTL_S = 180 * 24 * 3600
"""The life of a ticket where nothing else is asked for (TLSSigAPIv2's own default)."""

CLOCK_SKEW_S = 300
"""How far in the future a ticket may have been issued before it is refused: desks and kiosks differ a little."""

MAX_TICKET_BYTES = 4096
MAX_JSON_BYTES = 4096

_TO_URL = bytes.maketrans(b"+/=", b"*-_")
_FROM_URL = bytes.maketrans(b"*-_", b"+/=")
_USER_ID = re.compile(USER_ID_PATTERN, re.ASCII)


class _Ticket(msgspec.Struct, frozen=True):
    ver: str = msgspec.field(name="TLS.ver")
    identifier: str = msgspec.field(name="TLS.identifier")
    sdkappid: int = msgspec.field(name="TLS.sdkappid")
    expire: int = msgspec.field(name="TLS.expire")
    time: int = msgspec.field(name="TLS.time")
    sig: str = msgspec.field(name="TLS.sig")


@dataclass(frozen=True)
class Claims:
    """What a verified ticket says. Times are Unix seconds."""

    user_id: str
    sdk_app_id: int
    issued_at: int
    expires_at: int
    signature: str = field(default="", repr=False, compare=False)


def check_user_id(user_id: str) -> str:
    """Return *user_id* if it is well formed, else raise :exc:`CredentialError` ``bad_user_id``."""
    if not _USER_ID.fullmatch(user_id):
        raise CredentialError(
            "bad_user_id",
            f"user id {user_id[:40]!r} is not allowed: use 1 to 32 of A-Z a-z 0-9 _ -",
        )
    return user_id


def _signature(*, user_id: str, sdk_app_id: int, secret_key: str, issued_at: int, ttl_s: int) -> str:
    content = f"TLS.identifier:{user_id}\nTLS.sdkappid:{sdk_app_id}\nTLS.time:{issued_at}\nTLS.expire:{ttl_s}\n"
    digest = hmac.new(secret_key.encode(), content.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def sign(user_id: str, *, sdk_app_id: int, secret_key: str, issued_at: int, ttl_s: int = DEFAULT_TTL_S) -> str:
    """Make a UserSig for *user_id*, issued at *issued_at* (Unix seconds), valid for *ttl_s* seconds."""
    ticket = _Ticket(
        ver="2.0",
        identifier=check_user_id(user_id),
        sdkappid=sdk_app_id,
        expire=ttl_s,
        time=issued_at,
        sig=_signature(
            user_id=user_id, sdk_app_id=sdk_app_id, secret_key=secret_key, issued_at=issued_at, ttl_s=ttl_s
        ),
    )
    packed = zlib.compress(msgspec.json.encode(ticket))
    return base64.b64encode(packed).translate(_TO_URL).decode()


def verify(user_sig: str, *, user_id: str, sdk_app_id: int, secret_key: str, now: int) -> Claims:
    """Check *user_sig* for *user_id* at *now* (Unix seconds) and return its claims.

    Raises :exc:`CredentialError` with code ``bad_user_id``, ``sig_malformed``, ``sig_foreign`` (made with
    another key, or for another application or user), ``sig_expired`` or ``sig_not_yet_valid``. The signature
    is compared in constant time and before anything else in the ticket is believed.
    """
    check_user_id(user_id)
    ticket = _decode(user_sig)
    expected = _signature(
        user_id=ticket.identifier,
        sdk_app_id=ticket.sdkappid,
        secret_key=secret_key,
        issued_at=ticket.time,
        ttl_s=ticket.expire,
    )
    if not hmac.compare_digest(expected.encode(), ticket.sig.encode()):
        raise CredentialError("sig_foreign", "the UserSig was not made with this desk's SecretKey")
    if ticket.sdkappid != sdk_app_id:
        raise CredentialError(
            "sig_foreign", f"the UserSig is for SDKAppID {ticket.sdkappid}, this desk is {sdk_app_id}"
        )
    if ticket.identifier != user_id:
        raise CredentialError("sig_foreign", f"the UserSig is for user {ticket.identifier!r}, not {user_id!r}")
    if ticket.time > now + CLOCK_SKEW_S:
        raise CredentialError(
            "sig_not_yet_valid",
            f"the UserSig was issued {ticket.time - now} s in the future: check the clocks of desk and device",
        )
    expires_at = ticket.time + ticket.expire
    if now >= expires_at:
        raise CredentialError("sig_expired", f"the UserSig expired {now - expires_at} s ago: get a new one")
    return Claims(
        user_id=user_id,
        sdk_app_id=sdk_app_id,
        issued_at=ticket.time,
        expires_at=expires_at,
        signature=ticket.sig,
    )


def read(user_sig: str) -> Claims:
    """What *user_sig* says of itself. Only the desk can tell whether it is true. Raises :exc:`CredentialError`."""
    ticket = _decode(user_sig)
    return Claims(
        user_id=ticket.identifier,
        sdk_app_id=ticket.sdkappid,
        issued_at=ticket.time,
        expires_at=ticket.time + ticket.expire,
    )


def _decode(user_sig: str) -> _Ticket:
    malformed = CredentialError(
        "sig_malformed", "the UserSig cannot be read: copy it whole, without spaces or line breaks"
    )
    try:
        raw = user_sig.encode("ascii")
        if len(raw) > MAX_TICKET_BYTES:
            raise malformed
        packed = base64.b64decode(raw.translate(_FROM_URL), validate=True)
        inflater = zlib.decompressobj()
        text = inflater.decompress(packed, MAX_JSON_BYTES)
        if not inflater.eof or inflater.unused_data:
            raise malformed
        return msgspec.json.decode(text, type=_Ticket)
    except (UnicodeError, binascii.Error, zlib.error, msgspec.MsgspecError, RecursionError):
        raise malformed from None
