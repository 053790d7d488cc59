"""The desk's listening socket and its two protocols: uvicorn's, made safe against peers that only cost.

uvicorn waits without end for a request's head, answers WebSocket pings of a peer that reads nothing into a buffer
without bound, and keeps a closed connection as long as its peer leaves the last bytes unread. None of that needs a
login, so none of it may last. This is the only file that touches the insides of uvicorn.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from kiosk.errors import PortInUse

HEAD_TIMEOUT_S = 10.0
"""From a connection's opening, or its last answer, to the whole head of the next request."""
LINGER_S = 1.5
"""How long a closed WebSocket may take to fetch what it was sent last. A bed that we do not hear learns only after
this that it is closed, and has to tell its patient within 10 s (``BEATS_UNANSWERED`` in ``server.py``)."""
MAX_UNREAD_BYTES = 1024 * 1024
"""What may wait to be sent to one peer, beyond the desk's own bounded queue."""


class HttpProtocol(H11Protocol):
    """Ends connections that ask nothing, or never finish asking."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_no_head()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._await_head()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._await_no_head()
        super().handle_websocket_upgrade(event)

    def _await_head(self) -> None:
        self._await_no_head()
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late, self.cycle)

    def _await_no_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()

    def _head_is_late(self, last: object) -> None:
        if self.cycle is last:
            self.transport.abort()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Gives up on peers that do not read."""

    def handle_ping(self) -> None:
        super().handle_ping()
        if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.transport.abort()

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self.loop.call_later(LINGER_S, self.transport.abort)


class Listening(uvicorn.Server):
    """Tells when it listens, and only stops at SIGINT and SIGTERM."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop. To cancel this is to tell it: open pages are closed first, in order."""
        serving = asyncio.ensure_future(super().serve(sockets=sockets))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self.should_exit = True
            await serving
            raise

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: stop serving. uvicorn's own raises it again, which ends the process before it is in order."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket. Raises :exc:`PortInUse`, which names *setting*, where the port was chosen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
    except OverflowError:
        listening.close()
        raise PortInUse(f"{setting} = {port}: allowed is 0 to 65535") from None
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"{setting} = {port}: another program listens at {host}:{port}; stop it or choose another port"
            ) from None
        raise PortInUse(f"{setting} = {port} at {host!r}: cannot listen: {error.strerror}") from None
    return listening


def allow_many_connections() -> None:
    """Use all the open files the system allows: a shell's usual 1024 is less than a hospital has beds."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
