"""The desk's doors: the WebSocket for kiosks and seats, the seat page, and plain HTTP for any other client.

Starlette on uvicorn, one process, one event loop. The wire is that of ``kiosk/signaling/WIRE.md``.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from kiosk.desk import doors
from kiosk.desk.certificate import ensure_certificate
from kiosk.desk.ledger import Rules
from kiosk.desk.registry import Registry
from kiosk.desk.relay import Connection, Relay
from kiosk.errors import BadMessage, CredentialError, PortInUse, SettingsError
from kiosk.settings import Desk, is_loopback_host
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import ErrorCode

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
LOGIN_TIMEOUT_S = 10.0
"""From the WebSocket's opening to the login."""
HEARTBEAT_S = 5.0
SILENCE_LIMIT_S = 3 * HEARTBEAT_S
"""A peer that says nothing for this long is gone."""
MAX_WEBSOCKET_BYTES = 4 * wire.MAX_MESSAGE_BYTES
"""Up to here an oversized message is answered in words; beyond, the connection is closed (1009)."""
MAX_BAD_MESSAGES = 20
"""Bad messages a connection may send in all before it is closed for abuse (design §8)."""
CLOSE_POLICY = 1008
SHUTDOWN_TIMEOUT_S = 3

_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
        b" media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(self), microphone=(self), geolocation=()"),
    (b"cache-control", b"no-cache"),
]


class _Headers:
    """Adds the security headers to every HTTP answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class DeskServer:
    """One desk. *data* is its folder."""

    def __init__(self, settings: Desk, data: Path) -> None:
        self.settings = settings
        self.registry = Registry(settings, data)
        self._data = data
        self.relay = Relay(
            Rules(
                ring_s=settings.ring_timeout,
                wrap_up_s=settings.wrap_up,
                next_round_s=settings.next_round,
                queue=settings.on_all_busy == "queue",
                close_from_seat=settings.close_from_seat,
            )
        )
        self._server: uvicorn.Server | None = None
        self.url = ""

    def app(self) -> Starlette:
        """The ASGI application."""
        api = doors.Doors(self.settings, self.registry, self.relay)
        return Starlette(
            routes=[
                Route("/", self._index),
                Route("/healthz", self._health),
                *api.routes(),
                WebSocketRoute("/ws", self._websocket),
                Mount("/page", StaticFiles(directory=PAGE)),
            ],
            middleware=[Middleware(_Headers)],
        )

    async def run(self, ready: Callable[[str], None] = lambda url: None) -> None:
        """Serve until :meth:`stop` or a signal; *ready* is called with the page's URL.

        Raises :exc:`PortInUse`, :exc:`SettingsError`.
        """
        certificate, key = self._tls_files()
        listening = listen(self.settings.host, self.settings.port, "desk.port")
        scheme = "https" if certificate else "http"
        host = "localhost" if is_loopback_host(self.settings.host) else self.settings.host
        if host in ("0.0.0.0", "::"):  # noqa: S104  (the operator asked for every interface; here it is only named)
            host = socket.gethostname()
        self.url = f"{scheme}://{host}:{listening.getsockname()[1]}/"
        config = uvicorn.Config(
            self.app(),
            log_config=None,
            access_log=False,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            ws_max_size=MAX_WEBSOCKET_BYTES,
            ws_ping_interval=None,
            timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
            lifespan="off",
        )
        self._server = Listening(config, lambda: ready(self.url))
        log.info("- desk ready at %s", self.url)
        try:
            await self._server.serve(sockets=[listening])
        finally:
            self.relay.stop()
            listening.close()

    def stop(self) -> None:
        """End :meth:`run` in an orderly way."""
        if self._server is not None:
            self._server.should_exit = True

    def _tls_files(self) -> tuple[str | None, str | None]:
        settings = self.settings
        wanted = settings.tls == "on" or (settings.tls == "auto" and not is_loopback_host(settings.host))
        if not wanted:
            return None, None
        if not settings.certificate:
            certificate, key = ensure_certificate(self._data, settings.host)
            return str(certificate), str(key)
        for setting, path in (("certificate", settings.certificate), ("private_key", settings.private_key)):
            if not Path(path).is_file():
                raise SettingsError(f"desk.{setting} = {path!r}: there is no such file")
        return settings.certificate, settings.private_key

    # -- HTTP

    async def _index(self, request: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def _health(self, request: Request) -> Response:
        return doors.answer(doors.Health(ok=True, connected=self.relay.connected))

    # -- WebSocket

    async def _websocket(self, websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            login = await self._login(websocket)
            if login is not None:
                await _Session(self, websocket, login).run()
        except WebSocketDisconnect:
            pass

    async def _login(self, websocket: WebSocket) -> wire.Login | None:
        try:
            text = await asyncio.wait_for(_receive(websocket), LOGIN_TIMEOUT_S)
            message = _FROM_KIOSK.decode(text)
            if not isinstance(message, wire.Login):
                raise BadMessage(ErrorCode.OUT_OF_ORDER, "the first message must be 'login'", field="type")
            if message.version != wire.PROTOCOL_VERSION:
                raise BadMessage(
                    ErrorCode.VERSION, f"this desk speaks version {wire.PROTOCOL_VERSION}", field="version"
                )
            self.registry.verify(message.user_id, message.sdk_app_id, message.user_sig, now=int(time.time()))
            if self.relay.is_connected(message.user_id) and not message.takeover:
                raise BadMessage(ErrorCode.NOT_ALLOWED, "this user is signed in elsewhere", field="takeover")
        except TimeoutError:
            fault = wire.Fault(code=ErrorCode.OUT_OF_ORDER, message=f"no login within {LOGIN_TIMEOUT_S:.0f} s")
        except CredentialError as error:
            log.warning("x login refused: %s: %s", error.code, error)
            fault = wire.Fault(code=ErrorCode(error.code), message=str(error), field="user_sig")
        except BadMessage as error:
            fault = wire.Fault(code=ErrorCode(error.code), message=str(error), field=error.field)
        else:
            return message
        await websocket.send_text(wire.encode(fault))
        await websocket.close(CLOSE_POLICY, fault.code.value)
        return None


class _Session:
    """One logged-in WebSocket: a reader, a writer and the heartbeat."""

    def __init__(self, desk: DeskServer, websocket: WebSocket, login: wire.Login) -> None:
        self._desk = desk
        self._websocket = websocket
        self._login = login
        self._seat = desk.registry.seat(login.user_id)
        self._decoder = _FROM_SEAT if self._seat else _FROM_KIOSK
        self._closing = ""
        self._connection = Connection(login.user_id, self._close)
        self._heard_at = time.monotonic()
        self._bad = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Until either side closes."""
        settings = self._desk.settings
        self._connection.send(
            wire.LoginOk(
                id=self._login.id,
                user_id=self._login.user_id,
                role="seat" if self._seat else "kiosk",
                heartbeat_ms=round(HEARTBEAT_S * 1000),
                ring_timeout_ms=round(settings.ring_timeout * 1000),
                name=(self._seat.name or self._seat.user_id) if self._seat else "",
                ice_servers=settings.ice_servers,
            )
        )
        self._desk.relay.arrive(self._connection, seat=self._seat, call_id=self._login.call_id)
        jobs: list[Callable[[], Awaitable[None]]] = [self._read, self._write, self._beat]
        self._tasks = [asyncio.create_task(_quietly(job)) for job in jobs]
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._desk.relay.leave(self._connection)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._closing:
            await _quietly(self._say_goodbye)

    def _close(self, reason: str) -> None:
        self._closing = reason
        for task in self._tasks:
            task.cancel()

    async def _say_goodbye(self) -> None:
        async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
            while not self._connection.outbox.empty():
                await self._websocket.send_text(wire.encode(self._connection.outbox.get_nowait()))
            await self._websocket.close(CLOSE_POLICY, self._closing)

    async def _read(self) -> None:
        while True:
            text = await _receive(self._websocket)
            self._heard_at = time.monotonic()
            try:
                message = self._decoder.decode(text)
                if isinstance(message, wire.Login):
                    raise BadMessage(ErrorCode.OUT_OF_ORDER, "already logged in", field="type")
            except BadMessage as error:
                self._complain(error)
                continue
            if not isinstance(message, wire.Pong):
                self._desk.relay.said(self._connection, message)

    def _complain(self, error: BadMessage) -> None:
        self._bad += 1
        log.warning("x %s: bad message %d: %s at %r", self._login.user_id, self._bad, error, error.field)
        self._connection.send(wire.Fault(code=ErrorCode(error.code), message=str(error), field=error.field))
        if self._bad >= MAX_BAD_MESSAGES:
            what = f"{MAX_BAD_MESSAGES} bad messages: closing"
            self._connection.send(wire.Fault(code=ErrorCode.TOO_MANY, message=what))
            self._close("too many bad messages")

    async def _write(self) -> None:
        while True:
            message = await self._connection.outbox.get()
            await self._websocket.send_text(wire.encode(message))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if time.monotonic() - self._heard_at > SILENCE_LIMIT_S:
                log.warning("x %s is silent, closing", self._login.user_id)
                return
            self._connection.send(wire.Ping())


async def _quietly(job: Callable[[], Awaitable[None]]) -> None:
    """Run *job*; a peer that has gone is its normal end."""
    try:
        await job()
    except (WebSocketDisconnect, ConnectionError, TimeoutError):
        pass
    except RuntimeError as error:
        # Starlette's way of saying that the peer closed while we were sending.
        log.debug("- connection ended: %s", error)


async def _receive(websocket: WebSocket) -> str | bytes:
    event = await websocket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(event.get("code", 1000))
    text: str | bytes | None = event.get("text")
    return text if text is not None else event.get("bytes") or b""


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


_FROM_KIOSK = wire.Decoder(wire.FromKiosk)
_FROM_SEAT = wire.Decoder(wire.FromSeat)
