"""The desk's doors: the WebSocket for kiosks and seats, the seat page, and plain HTTP for any other client.

Starlette on uvicorn, one process, one event loop. The wire is that of ``kiosk/signaling/WIRE.md``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from kiosk.desk import doors, peer
from kiosk.desk.address import page_url, wants_tls
from kiosk.desk.auditor import Auditor
from kiosk.desk.certificate import check_pair, ensure_certificate
from kiosk.desk.history import FILE_NAME, History
from kiosk.desk.ledger import Rules
from kiosk.desk.listening import HttpProtocol, Listening, WebSocketProtocol, listen
from kiosk.desk.peer_session import DeskParts, PeerSession
from kiosk.desk.registry import Registry
from kiosk.desk.relay import Relay
from kiosk.desk.timeline import Entry, Happened
from kiosk.desk.turn_credentials import Mint
from kiosk.desk.writers import Writers
from kiosk.errors import BadMessage, CredentialError
from kiosk.notify import Notifier
from kiosk.settings import Desk, read_secret
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import ErrorCode

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
LOGIN_TIMEOUT_S = 10.0
"""From the WebSocket's opening to the login."""
MAX_STRANGERS = 500
"""WebSockets that may be open without a login; beyond, those that have been silent longest make room. A kiosk logs
in at once, so that those who only hold a place cannot keep it out."""
FAIR_WAIT_S = 5.0
"""So much silence is forgiven in any crowd: when a hospital's power returns, all its kiosks come at once. A kiosk
itself gives up after as much (``signaling/client.py``)."""
MAX_WEBSOCKET_BYTES = 4 * wire.MAX_MESSAGE_BYTES
"""Up to here an oversized message is answered in words; beyond, the connection is closed (1009)."""
CLOSE_TRY_LATER = 1013

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
    """Adds the security headers to every HTTP answer that has not its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", []))
                names = {name.lower() for name, _ in given}
                message["headers"] = given + [header for header in _HEADERS if header[0] not in names]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class DeskServer:
    """One desk. *data* is its folder."""

    def __init__(self, settings: Desk, data: Path, *, notifier: Notifier | None = None) -> None:
        self.settings = settings
        self._notifier = notifier or Notifier()
        self.writers = Writers()
        self.registry = Registry(settings, data)
        secret = read_secret(Path(settings.turn_secret_file)) if settings.turn_secret_file else ""
        self._mint = Mint(settings.ice_servers, settings.turn_lifetime, secret)
        self._data = data
        self.history = History(data / FILE_NAME, days=settings.history_days)
        self.auditor = Auditor(self.history.audit)
        self.relay = Relay(
            Rules(
                ring_s=settings.ring_timeout,
                wrap_up_s=settings.wrap_up,
                next_round_s=settings.next_round,
                queue=settings.on_all_busy == "queue",
                close_from_seat=settings.close_from_seat,
                overdue_s=settings.overdue,
                realert_s=settings.realert,
                backup_after_s=settings.backup_after,
                local_alarm_s=settings.local_alarm_after,
                backup_groups=settings.backup_groups,
            ),
            keep=self.history.add,
        )
        self._server: uvicorn.Server | None = None
        self._strangers: dict[asyncio.Timeout, float] = {}
        self.url = ""

    def app(self) -> ASGIApp:
        """The ASGI application."""
        api = doors.Doors(self.settings, self.registry, self.relay, self.auditor)
        routes = Starlette(
            routes=[
                Route("/", self._index),
                Route("/healthz", self._health),
                *api.routes(),
                WebSocketRoute("/ws", self._websocket),
                Mount("/page", StaticFiles(directory=PAGE)),
            ],
        )
        return _Headers(routes)  # outermost: an internal error's answer has them, too

    async def run(self, ready: Callable[[str], None] = lambda url: None) -> None:
        """Serve until :meth:`stop` or a signal; *ready* is called with the page's URL.

        Raises :exc:`~kiosk.errors.PortInUse`, :exc:`~kiosk.errors.SettingsError`.
        """
        certificate, key = self._tls_files()
        listening = listen(self.settings.host, self.settings.port, "desk.port")
        self.url = page_url(self.settings, port=listening.getsockname()[1])
        config = uvicorn.Config(
            self.app(),
            http=HttpProtocol,
            ws=WebSocketProtocol,
            log_config=None,
            log_level="warning",  # at "debug" it would log every frame, the UserSig in it
            access_log=False,
            server_header=False,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            ws_max_size=MAX_WEBSOCKET_BYTES,
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=peer.SHUTDOWN_TIMEOUT_S,
            lifespan="off",
        )

        def listens() -> None:
            self._notifier.ready()
            self._notifier.status(f"listening at {self.url}")
            ready(self.url)

        self._server = Listening(config, listens)
        log.info("- desk ready at %s", self.url)
        self.history.start(report=self._history_reporter())
        self.history.add(Entry(Happened.DESK_STARTED), time.time())
        self.auditor.started(self.settings)
        feeding = asyncio.create_task(self._feed_watchdog())
        try:
            await self._server.serve(sockets=[listening])
        finally:
            self._notifier.stopping()
            feeding.cancel()
            self.relay.stop()
            listening.close()
            self.auditor.close()
            await asyncio.to_thread(self.history.close)

    async def _feed_watchdog(self) -> None:
        every_s = self._notifier.watchdog_s
        stalled = False
        while every_s is not None:
            before, stalled = stalled, self.writers.stalled(now=time.monotonic())
            if not stalled:
                self._notifier.alive()
            elif not before:
                log.error("x nothing goes out to any connection; the watchdog is not fed")
            await asyncio.sleep(every_s)

    def _history_reporter(self) -> Callable[[str], None]:
        """Takes the history's faults from its thread to the loop; the only place that crosses."""
        loop = asyncio.get_running_loop()

        def report(fault: str) -> None:
            with suppress(RuntimeError):  # the loop has ended, and the history is late
                loop.call_soon_threadsafe(self.relay.history_is, fault)

        return report

    def stop(self) -> None:
        """End :meth:`run` in an orderly way."""
        if self._server is not None:
            self._server.should_exit = True

    def _tls_files(self) -> tuple[str | None, str | None]:
        settings = self.settings
        if not wants_tls(settings):
            return None, None
        certificate, key = Path(settings.certificate), Path(settings.private_key)
        if not settings.certificate:
            certificate, key = ensure_certificate(self._data, settings.host)
        check_pair(certificate, key)
        return str(certificate), str(key)

    # -- HTTP

    async def _index(self, request: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def _health(self, request: Request) -> Response:
        health = doors.Health(ok=True, connected=self.relay.connected, history_fault=self.history.fault)
        return doors.answer(health)

    # -- WebSocket

    async def _websocket(self, websocket: WebSocket) -> None:
        try:
            await websocket.accept()
            admitted = await self._login(websocket)
            if admitted is not None:
                login, lives_s = admitted
                parts = DeskParts(self.settings, self.registry, self.relay, self.auditor, self.writers, self._mint)
                await PeerSession(parts, websocket, login, lives_s=lives_s).run()
        except (WebSocketDisconnect, OSError):
            pass  # it left while we were greeting it

    async def _login(self, websocket: WebSocket) -> tuple[wire.Login, float] | None:
        """Who has come, and the seconds that the UserSig has left; None: refused, and told so."""
        who = ""
        text: str | bytes = ""
        try:
            text = await self._first_words(websocket)
            login = peer.FROM_KIOSK.decode(text)
            if not isinstance(login, wire.Login):
                raise BadMessage(ErrorCode.OUT_OF_ORDER, "the first message must be 'login'", field="type")
            who = login.user_id
            lives_s = self._admit(login)
        except _MakesRoom:
            await peer.end(websocket, CLOSE_TRY_LATER, "too many connections without a login")
            return None
        except TimeoutError:
            fault = wire.Fault(code=ErrorCode.OUT_OF_ORDER, message=f"no login within {LOGIN_TIMEOUT_S:g} s")
        except CredentialError as error:
            fault = wire.Fault(code=ErrorCode(error.code), message=str(error), field="user_sig")
        except BadMessage as error:
            fault = wire.Fault(code=ErrorCode(error.code), message=str(error), field=error.field)
        else:
            return login, lives_s
        address = peer.address_of(websocket)
        self.auditor.refused(who, address, fault.code.value)
        who = who or "somebody"
        log.warning("x login of %s from %s refused: %s: %s", who, address, fault.code.value, fault.message)
        await peer.send(websocket, msgspec.structs.replace(fault, id=codec.id_of(text)))
        await peer.end(websocket, peer.CLOSE_POLICY, fault.code.value)
        return None

    async def _first_words(self, websocket: WebSocket) -> str | bytes:
        limit = asyncio.timeout(LOGIN_TIMEOUT_S)
        try:
            async with limit:
                self._make_room()
                self._strangers[limit] = asyncio.get_running_loop().time()
                return await peer.receive(websocket)
        except TimeoutError:
            raise (TimeoutError if limit in self._strangers else _MakesRoom) from None
        finally:
            self._strangers.pop(limit, None)

    def _make_room(self) -> None:
        now = asyncio.get_running_loop().time()
        while len(self._strangers) >= MAX_STRANGERS:
            oldest, since = next(iter(self._strangers.items()))
            if now - since < FAIR_WAIT_S:
                return
            del self._strangers[oldest]
            if not oldest.expired():
                oldest.reschedule(now)

    def _admit(self, login: wire.Login) -> float:
        if login.version != wire.PROTOCOL_VERSION:
            raise BadMessage(
                ErrorCode.VERSION, f"this desk speaks version {wire.PROTOCOL_VERSION}", field="version"
            )
        now = int(time.time())
        claims = self.registry.verify(login.user_id, login.sdk_app_id, login.user_sig, now=now)
        if self.relay.is_connected(login.user_id) and not login.takeover:
            raise BadMessage(ErrorCode.NOT_ALLOWED, "this user is signed in elsewhere", field="takeover")
        return claims.expires_at - now


class _MakesRoom(Exception):
    """Of the connections without a login this one has been silent longest, and there are too many."""
