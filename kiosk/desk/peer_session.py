"""One logged-in WebSocket of the desk: a reader, a writer and the heartbeat."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from msgspec import UnsetType
from starlette.websockets import WebSocket

from kiosk.desk import peer
from kiosk.desk.audit import Act, Audited
from kiosk.desk.auditor import Auditor
from kiosk.desk.registry import Registry
from kiosk.desk.relay import Connection, Relay
from kiosk.desk.turn_credentials import Mint
from kiosk.desk.writers import Writers
from kiosk.errors import BadMessage
from kiosk.settings import Desk
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import ErrorCode

log = logging.getLogger(__name__)

HEARTBEAT_S = 2.5
"""A bed that misses three of them tells its patient within 10 s that nobody can be reached."""
BEATS_UNANSWERED = 2
"""A peer that has left so many pings without any word is gone when the next is due: three heartbeats after its last
word. Counted in beats, not by the clock, so that a desk that stood still does not blame its peers for it; and a
peer that hears us while we do not hear it is told within 10 s, too."""
SILENT_GOODBYE_S = 0.5
"""For the last words to a silent peer: it may hear them, but its answer will not come."""
MAX_BAD_MESSAGES = 20
"""Bad messages a connection may send in all before it is closed for abuse (design §8)."""
CLOSE_FAULT = 1011
EXPIRED = wire.Fault(
    code=ErrorCode.SIG_EXPIRED, message="the UserSig has expired meanwhile: get a new one", field="user_sig"
)


@dataclass(frozen=True)
class DeskParts:
    """What a session needs of its desk."""

    settings: Desk
    registry: Registry
    relay: Relay
    auditor: Auditor
    writers: Writers
    mint: Mint


class PeerSession:
    """One logged-in WebSocket: a reader, a writer and the heartbeat.

    The UserSig of *login* runs out in *lives_s*. Then the connection ends; while there is a call, or the bed's
    request is open, it does not.
    """

    def __init__(self, parts: DeskParts, websocket: WebSocket, login: wire.Login, *, lives_s: float) -> None:
        self._parts = parts
        self._websocket = websocket
        self._login = login
        self._seat = parts.registry.seat(login.user_id)
        self._decoder = peer.FROM_SEAT if self._seat else peer.FROM_KIOSK
        self._closing = ""
        self._goodbye_s = float(peer.SHUTDOWN_TIMEOUT_S)
        self._connection = Connection(login.user_id, self._close)
        self._expires_at = time.monotonic() + lives_s
        self._unanswered = 0
        self._bad = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Until either side closes."""
        settings = self._parts.settings
        self._connection.send(
            wire.LoginOk(
                id=self._login.id,
                user_id=self._login.user_id,
                role="seat" if self._seat else "kiosk",
                heartbeat_ms=round(HEARTBEAT_S * 1000),
                ring_timeout_ms=round(settings.ring_timeout * 1000),
                name=(self._seat.name or self._seat.user_id) if self._seat else "",
                ice_servers=self._parts.mint.without_credentials(),
                ice=self._ice_servers(),
            )
        )
        self._audit_arrival()
        self._parts.writers.began(now=time.monotonic())
        self._parts.relay.arrive(self._connection, seat=self._seat, call_id=self._login.call_id)
        jobs: list[Callable[[], Awaitable[None]]] = [self._read, self._write, self._beat]
        if self._parts.mint.renewed_every_s is not None:
            jobs.append(self._renew)
        self._tasks = [asyncio.create_task(peer.until_it_leaves(job)) for job in jobs]
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._parts.relay.leave(self._connection)
            if self._seat:
                self._audit(Audited.SIGNED_OUT, reason=self._closing)
            self._parts.writers.ended()
            for task in self._tasks:
                task.cancel()
            ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        code = peer.CLOSE_POLICY
        for fault in ended:
            if isinstance(fault, Exception):
                log.error("x %s: the desk failed at its message", self._login.user_id, exc_info=fault)
                self._closing, code = "the desk failed", CLOSE_FAULT
        if self._closing:
            await peer.until_it_leaves(lambda: self._say_goodbye(code))

    def _audit_arrival(self) -> None:
        if self._parts.relay.is_connected(self._login.user_id):
            self._audit(Audited.PUT_OUT)
        if self._seat:
            self._audit(Audited.SIGNED_IN, reason="usersig")
        else:
            self._parts.auditor.bed_signed_in(self._login.user_id, peer.address_of(self._websocket))

    def _audit(self, what: Audited, *, reason: str = "", detail: str = "") -> None:
        user_id, address = self._login.user_id, peer.address_of(self._websocket)
        self._parts.auditor.known(Act(what, user_id, address=address, reason=reason, detail=detail))

    def _close(self, reason: str) -> None:
        if not self._closing:
            self._closing = reason
            for task in self._tasks:
                task.cancel()

    async def _say_goodbye(self, code: int) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._goodbye_s):
                while not self._connection.outbox.empty():
                    await peer.send(self._websocket, self._connection.outbox.get_nowait())
                await peer.end(self._websocket, code, self._closing)

    async def _read(self) -> None:
        while True:
            text = await peer.receive(self._websocket)
            self._unanswered = 0
            try:
                message = self._decoder.decode(text)
                if isinstance(message, wire.Login):
                    raise BadMessage(ErrorCode.OUT_OF_ORDER, "already logged in", field="type")
            except BadMessage as error:
                self._complain(error, codec.id_of(text))
                continue
            done = self._parts.relay.said(self._connection, message)
            if done and self._seat and isinstance(message, wire.CloseRequest):
                self._audit(Audited.REQUEST_CLOSED, reason=message.reason.value, detail=message.request_id)

    def _complain(self, error: BadMessage, asked: str | UnsetType) -> None:
        self._bad += 1
        log.warning("x %s: bad message %d: %s at %r", self._login.user_id, self._bad, error, error.field)
        fault = wire.Fault(id=asked, code=ErrorCode(error.code), message=str(error), field=error.field)
        self._connection.send(fault)
        if self._bad >= MAX_BAD_MESSAGES:
            what = f"{MAX_BAD_MESSAGES} bad messages: closing"
            self._connection.send(wire.Fault(code=ErrorCode.TOO_MANY, message=what))
            self._close("too many bad messages")

    async def _write(self) -> None:
        while True:
            await peer.send(self._websocket, await self._connection.outbox.get())
            self._parts.writers.wrote(now=time.monotonic())

    async def _renew(self) -> None:
        every_s = self._parts.mint.renewed_every_s
        while every_s is not None:
            await asyncio.sleep(every_s)
            self._connection.send(wire.IceServers(ice=self._ice_servers()))

    def _ice_servers(self) -> tuple[wire.IceServer, ...]:
        return self._parts.mint.servers(self._login.user_id, now=int(time.time()))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if self._unanswered >= BEATS_UNANSWERED:
                log.warning("x %s is silent, closing", self._login.user_id)
                self._goodbye_s = SILENT_GOODBYE_S
                self._close("silent")
                return
            if self._has_expired():
                log.warning("x the UserSig of %s has expired, closing", self._login.user_id)
                self._connection.dismiss(EXPIRED, EXPIRED.code.value)
                return
            self._unanswered += 1
            self._connection.send(wire.Ping())

    def _has_expired(self) -> bool:
        return time.monotonic() >= self._expires_at and not self._parts.relay.needs(self._login.user_id)
