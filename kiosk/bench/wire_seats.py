"""Two seats over the wire for ``kiosk bench faults``, each with a connection of its own straight to the desk.

The one only looks on: it is never ready, so that no call comes to it, and its boards are what "at the desk" means.
The other is ready and takes no call: it declines, is busy, lets ring, or vanishes. Media are not the subject here.
"""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence

import websockets
from websockets.asyncio.client import ClientConnection, connect

from kiosk.signaling import codec
from kiosk.signaling import messages as wire

CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
"""A seat that is thinking does not read, and so sees no goodbye."""
RETRY_S = 0.1
MAX_THINKING_S = 2.0
"""How long the seat that takes no call lets it ring at most."""
MAX_PAUSE_S = 2.0
"""How long it is not ready then: each call costs its bed the making of an offer."""

Where = Callable[[], str | None]
"""The desk's WebSocket now, or None while there is no desk."""


class _Seat(ABC):
    """Stays at the desk until cancelled, through all its restarts."""

    def __init__(self, where: Where, login: wire.Login) -> None:
        self._where = where
        self._login = login

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            url = self._where()
            if url is not None:
                try:
                    async with connect(
                        url,
                        open_timeout=CONNECT_TIMEOUT_S,
                        close_timeout=CLOSE_TIMEOUT_S,
                        proxy=None,
                        compression=None,
                        max_size=None,
                    ) as socket:
                        await socket.send(codec.encode(self._login))
                        await self._sit(socket)
                except (OSError, TimeoutError, websockets.WebSocketException):
                    self.gone()
            await asyncio.sleep(RETRY_S)

    async def _sit(self, socket: ClientConnection) -> None:
        async for text in socket:
            message = _TO_SEAT.decode(text)
            if isinstance(message, wire.Ping):
                await socket.send(codec.encode(wire.Pong()))
            else:
                await self.hears(message, socket)
        self.gone()

    @abstractmethod
    async def hears(self, message: wire.Message, socket: ClientConnection) -> None:
        """A message of the desk."""

    def gone(self) -> None:
        """The desk is gone."""
        return


class LookingSeat(_Seat):
    """Hands each board to *see*, with the time it came; an empty one is none."""

    def __init__(
        self, where: Where, login: wire.Login, see: Callable[[Sequence[wire.RequestView], float], None]
    ) -> None:
        super().__init__(where, login)
        self._see = see
        self.beds_online = 0

    async def hears(self, message: wire.Message, socket: ClientConnection) -> None:
        """Only boards matter."""
        if isinstance(message, wire.Board):
            self.beds_online = message.beds_online
            self._see(message.requests, time.monotonic())

    def gone(self) -> None:
        """No desk, no board."""
        self.beds_online = 0


class DecliningSeat(_Seat):
    """Never takes a call; :attr:`declined` counts how."""

    def __init__(self, where: Where, login: wire.Login, chance: random.Random) -> None:
        super().__init__(where, login)
        self._chance = chance
        self.declined: Counter[str] = Counter()

    async def hears(self, message: wire.Message, socket: ClientConnection) -> None:
        """Be ready at each login; decline what rings, and rest for a moment."""
        if isinstance(message, wire.LoginOk):
            await socket.send(codec.encode(wire.SetSeatState(state="free")))
        elif isinstance(message, wire.IncomingCall):
            await asyncio.sleep(self._chance.uniform(0, MAX_THINKING_S))
            how = self._chance.choice(("rejected", "busy", "vanished"))
            self.declined[how] += 1
            if how == "vanished":
                await socket.close()
                return
            answer = wire.Reject if how == "rejected" else wire.LineBusy
            await socket.send(codec.encode(answer(call_id=message.call_id)))
            await socket.send(codec.encode(wire.SetSeatState(state="rest")))
            await asyncio.sleep(self._chance.uniform(0, MAX_PAUSE_S))
            await socket.send(codec.encode(wire.SetSeatState(state="free")))


_TO_SEAT = codec.Decoder(wire.ToSeat)
