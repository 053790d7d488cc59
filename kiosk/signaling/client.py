"""The kiosk's end of the wire: log in, stay connected, come back by itself.

Runs on the event loop's thread and calls its listener there. Reconnecting is the normal case in a hospital's
Wi-Fi: the wait between tries grows, is capped, and is spread by chance so that a ward whose power returns does not
stampede; so is the very first try, unless a patient waits (:meth:`Client.hurry`). After each login the listener
gives the snapshot; after that messages go as they come.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from msgspec import UNSET
from websockets.asyncio.client import ClientConnection

from kiosk.errors import BadMessage, Refused
from kiosk.signaling import codec, desk_login
from kiosk.signaling import messages as wire
from kiosk.signaling.desk_login import TO_KIOSK, UNREACHABLE, Ticket, in_words, log_in, socket_to

log = logging.getLogger(__name__)

ACK_TIMEOUT_S = 5.0
"""A message that asked for an answer and got none means a dead link: we connect anew and send a snapshot."""
HEARTBEATS_MISSED = 3
"""So many silent heartbeats of the desk mean a dead link."""
SILENCE_LIMIT_S = 8.0
"""And so much silence in any case, whatever heartbeat the desk names: the patient is told within 10 s that nobody
can be reached."""
FIRST_TRY_WITHIN_S = 2.0
"""Over so long the first tries of beds that all start in the same second are spread, where nobody waits: a hundred
beds are then five a tenth of a second."""
FIRST_RETRY_S = 0.5
MAX_RETRY_S = 8.0
REFUSED_RETRY_S = 15.0
"""After a refused login: somebody has to mend it, but nobody should have to restart the bed."""
KICKED_RETRY_S = 2.0
"""After another login of our user. It may have been our own, given up and delivered late by the network: then
nobody else is there, and the bed must not stay away. Asking puts nobody out (``takeover`` is false).

Waits after a try are these at most, and at least half."""
OUTBOX_LIMIT = 256


class Listener(ABC):
    """What the client's owner must provide; every method is called on the loop's thread and returns at once."""

    @abstractmethod
    def link_up(self, login: wire.LoginOk) -> wire.Snapshot:
        """Logged in: return the snapshot to send first."""

    @abstractmethod
    def link_down(self, why: str) -> None:
        """The connection is lost, or could not be made."""

    @abstractmethod
    def refused(self, code: str, why: str) -> None:
        """The desk refuses our login."""

    @abstractmethod
    def kicked_out(self, why: str) -> None:
        """Another device logged in with our user id."""

    @abstractmethod
    def received(self, message: wire.Message) -> None:
        """A message of the desk."""


class Client:
    """One kiosk's connection to its desk. *user_sig* is asked for at each login, so that a new one is taken up."""

    def __init__(
        self,
        *,
        url: str,
        ca_file: Path | None,
        user_id: str,
        sdk_app_id: int,
        user_sig: Callable[[], str],
        listener: Listener,
        chance: random.Random | None = None,
    ) -> None:
        self._ticket = Ticket(url, ca_file, user_id, sdk_app_id, user_sig)
        self._listener = listener
        self._chance = chance or random.Random()  # noqa: S311  (spreads retries, guards nothing)
        self._outbox: asyncio.Queue[wire.Message] | None = None
        self._unanswered: dict[str, asyncio.TimerHandle] = {}
        self._takeover = True
        self._socket: ClientConnection | None = None
        self._next_id = 0
        self._failures = 0
        self._dropped = ""
        self._hurry = asyncio.Event()
        self.trouble = ""
        """Why it is not connected, in words; empty when it is, or was not tried yet."""
        self.moved_at = time.monotonic()
        """When it last did what it does: an attempt or its pause began, or a message came."""
        self.moves_within_s = 0.0
        """How long it may take until it moves again, as far as it knows."""

    @property
    def connected(self) -> bool:
        """Logged in, and messages can be sent."""
        return self._outbox is not None

    def new_id(self) -> str:
        """An ``id`` for a message that wants an answer."""
        self._next_id += 1
        return str(self._next_id)

    def send(self, message: wire.Message) -> bool:
        """Queue *message* if connected; otherwise the next snapshot will tell. An ``id`` awaits its answer."""
        if self._outbox is None:
            return False
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            self._drop("the desk does not take our messages")
            return False
        if message.id is not UNSET and isinstance(message.id, str):
            loop = asyncio.get_running_loop()
            self._unanswered[message.id] = loop.call_later(
                ACK_TIMEOUT_S, self._drop, f"no answer within {ACK_TIMEOUT_S:g} s"
            )
        return True

    def hurry(self) -> None:
        """A patient waits: make the first try at once. Waits after a failure stay, or a ward would stampede."""
        self._hurry.set()

    async def run(self) -> None:
        """Connect and stay connected until cancelled.

        A certificate authority's file that is missing or damaged is no reason to leave the bed without a button: it
        is read at each try.
        """
        await self._until_first_try()
        while True:
            self._expects(desk_login.CONNECT_TIMEOUT_S + desk_login.LOGIN_TIMEOUT_S + desk_login.CLOSE_TIMEOUT_S)
            wait_s = await self._until_lost()
            self._expects(wait_s)
            await asyncio.sleep(wait_s)

    async def _until_first_try(self) -> None:
        if self._hurry.is_set():
            return
        wait_s = self._chance.uniform(0.0, FIRST_TRY_WITHIN_S)
        self._expects(wait_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._hurry.wait()

    async def _until_lost(self) -> float:
        """Connect, stay, tell the listener how it ended; returns how long to wait before the next try."""
        try:
            await self._connect_once()
        except Refused as error:
            log.warning("x login refused: %s: %s", error.code, error)
            self.trouble = str(error)
            self._listener.refused(error.code, str(error))
            return self._spread(REFUSED_RETRY_S)
        except _KickedOut as error:
            log.warning("x kicked out: %s", error)
            self.trouble = str(error)
            self._listener.kicked_out(str(error))
            self._takeover = False
            return self._spread(KICKED_RETRY_S)
        except UNREACHABLE as error:
            words = self.trouble = self._dropped or in_words(error)
            log.warning("x desk %s: %s", self._ticket.url, words)
            self._listener.link_down(words)
        ceiling = min(MAX_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        return self._spread(ceiling)

    def _expects(self, within_s: float) -> None:
        self.moved_at, self.moves_within_s = time.monotonic(), within_s

    def _spread(self, ceiling: float) -> float:
        return self._chance.uniform(ceiling / 2, ceiling)

    async def _connect_once(self) -> None:
        self._dropped = ""
        async with socket_to(self._ticket) as socket:
            login = await log_in(socket, self._ticket, takeover=self._takeover)
            self._takeover = True
            self._failures = 0
            self.trouble = ""
            snapshot = self._listener.link_up(login)
            # Only now: whatever the listener sends while it makes the snapshot is in it.
            self._outbox = asyncio.Queue(OUTBOX_LIMIT)
            self._socket = socket
            self.send(snapshot)
            writer = asyncio.create_task(self._write(socket, self._outbox))
            try:
                await self._read(socket, min(SILENCE_LIMIT_S, HEARTBEATS_MISSED * login.heartbeat_ms / 1000))
            finally:
                self._outbox = None
                self._socket = None
                for handle in self._unanswered.values():
                    handle.cancel()
                self._unanswered.clear()
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)

    async def _write(self, socket: ClientConnection, outbox: asyncio.Queue[wire.Message]) -> None:
        while True:
            message = await outbox.get()
            log.debug("> %r", message)
            await socket.send(codec.encode(message))

    async def _read(self, socket: ClientConnection, silence_s: float) -> None:
        while True:
            self._expects(silence_s + desk_login.CLOSE_TIMEOUT_S)
            try:
                async with asyncio.timeout(silence_s):
                    text = await socket.recv()
            except TimeoutError:
                # Nobody is there to say goodbye to, and the patient would be told only after that.
                socket.transport.abort()
                raise
            try:
                message = TO_KIOSK.decode(text)
            except BadMessage as error:
                log.warning("x message of the desk not understood: %s at %r", error, error.field)
                continue
            log.debug("< %r", message)
            if isinstance(message, wire.Ping):
                self.send(wire.Pong())
                continue
            if isinstance(message, wire.KickedOut):
                raise _KickedOut(message.message)
            if isinstance(message, wire.Ack | wire.Fault) and isinstance(message.id, str):
                handle = self._unanswered.pop(message.id, None)
                if handle is not None:
                    handle.cancel()
            self._listener.received(message)

    def _drop(self, why: str) -> None:
        if self._socket is not None:
            self._dropped = why
            self._socket.transport.abort()


class _KickedOut(Exception):
    """The desk closes this connection for a newer login."""
