"""How a kiosk gets in at its desk: the socket, the log-in, and in words why not.

Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import websockets
from websockets.asyncio.client import ClientConnection, connect

from kiosk.errors import BadMessage, Refused, SettingsError
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import ErrorCode

CONNECT_TIMEOUT_S = 5.0
LOGIN_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 2.0

FRAMES = logging.getLogger(f"{__name__}.frames")
FRAMES.setLevel(logging.INFO)
"""websockets logs frames at DEBUG, and our first one holds the UserSig."""

UNREACHABLE = (OSError, TimeoutError, websockets.WebSocketException, BadMessage, SettingsError)
"""What may come of connecting, besides :exc:`~kiosk.errors.Refused`, to be caught before: it is an OSError, too."""

TO_KIOSK = codec.Decoder(wire.ToKiosk)


@dataclass(frozen=True)
class Ticket:
    """Who logs in, where. *user_sig* is asked for at each login, so that a new one is taken up."""

    url: str
    ca_file: Path | None
    user_id: str
    sdk_app_id: int
    user_sig: Callable[[], str]


def tls_context(url: str, ca_file: Path | None) -> ssl.SSLContext | None:
    """How the desk at *url* is verified; None where it is this machine's own, without TLS.

    Raises :exc:`~kiosk.errors.SettingsError`.
    """
    if not url.startswith("wss:"):
        return None
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"signaling.ca_file = {str(ca_file)!r}: cannot be used: {error}") from None


def socket_to(ticket: Ticket) -> connect:
    """A WebSocket to the desk, to be opened by ``async with``. Raises :exc:`~kiosk.errors.SettingsError`."""
    return connect(
        ticket.url,
        ssl=tls_context(ticket.url, ticket.ca_file),
        open_timeout=CONNECT_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=None,
        max_size=wire.MAX_MESSAGE_BYTES,
        compression=None,
        proxy=None,
        logger=FRAMES,
    )


async def log_in(socket: ClientConnection, ticket: Ticket, *, takeover: bool) -> wire.LoginOk:
    """Log in on *socket*. Raises :exc:`~kiosk.errors.Refused`, or one of ``UNREACHABLE``."""
    try:
        user_sig = ticket.user_sig()
    except SettingsError as error:
        raise Refused(ErrorCode.SIG_MALFORMED, str(error)) from None
    login = wire.Login(
        user_id=ticket.user_id,
        sdk_app_id=ticket.sdk_app_id,
        user_sig=user_sig,
        takeover=takeover,
    )
    await socket.send(codec.encode(login))
    async with asyncio.timeout(LOGIN_TIMEOUT_S):
        answer = TO_KIOSK.decode(await socket.recv())
    if isinstance(answer, wire.LoginOk) and answer.role == "kiosk":
        return answer
    if isinstance(answer, wire.LoginOk):
        raise Refused(ErrorCode.NOT_ALLOWED, f"user id {ticket.user_id!r} is a seat's, not a kiosk's")
    if isinstance(answer, wire.Fault):
        raise Refused(answer.code, answer.message, field=answer.field)
    raise BadMessage(ErrorCode.OUT_OF_ORDER, "the desk answered the login with something else")


async def try_login(ticket: Ticket) -> wire.LoginOk:
    """Whether the desk lets the bed in: log in, leave at once, put out nobody, tell nothing of the bed.

    Raises :exc:`~kiosk.errors.Refused`, or ConnectionError in words.
    """
    try:
        async with socket_to(ticket) as socket:
            return await log_in(socket, ticket, takeover=False)
    except Refused:
        raise
    except UNREACHABLE as error:
        raise ConnectionError(in_words(error)) from None


def in_words(error: Exception) -> str:
    """What went wrong, for a technician."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message} (check signaling.ca_file and the clock)"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, websockets.ConnectionClosed):
        reason = error.rcvd.reason if error.rcvd else ""
        return f"it closed the connection: {reason!r}" if reason else "the connection was closed"
    return str(error) or type(error).__name__
