"""Three seats over the wire for ``kiosk bench faults``, each with a connection of its own straight to the desk.

The one only looks on: it is never ready, so that no call comes to it, and its boards are what "at the desk" means.
The second is ready and takes no call: it declines, is busy, lets ring, or vanishes. The third takes each call and
speaks for a moment, so that there are talks in which to be killed.
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

from kiosk.media.answering_peer import AnsweringPeer
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
MEDIA_TIMEOUT_S = 5.0
"""For a call's media to connect; a bed that was killed meanwhile never does."""
MAX_TALK_S = 1.5
TONE_HZ = 660.0

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
                    await self._sit_at(url)
                except (OSError, TimeoutError, websockets.WebSocketException):
                    self.gone()
            await asyncio.sleep(RETRY_S)

    async def _sit_at(self, url: str) -> None:
        socket = await connect(
            url,
            open_timeout=CONNECT_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            proxy=None,
            compression=None,
            max_size=None,
        )
        try:
            await socket.send(codec.encode(self._login))
            await self._sit(socket)
        finally:
            # With no goodbye: in a cancelled task its time-out would not be noticed (Python 3.11.2, gh-102780), and
            # the socket would stay open.
            socket.transport.abort()
            await socket.wait_closed()

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


class TalkingSeat(_Seat):
    """Takes each call, speaks and hangs up; :attr:`talks` counts them."""

    def __init__(self, where: Where, login: wire.Login, chance: random.Random) -> None:
        super().__init__(where, login)
        self._chance = chance
        self.talks = 0

    async def hears(self, message: wire.Message, socket: ClientConnection) -> None:
        """Be ready at each login; answer what rings."""
        if isinstance(message, wire.LoginOk):
            await socket.send(codec.encode(wire.SetSeatState(state="free")))
        elif isinstance(message, wire.IncomingCall):
            peer = AnsweringPeer(hz=TONE_HZ)
            try:
                await self._talk(message, peer, socket)
            finally:
                await peer.close()
            await socket.send(codec.encode(wire.SetSeatState(state="free")))

    async def _talk(self, incoming: wire.IncomingCall, peer: AnsweringPeer, socket: ClientConnection) -> None:
        call_id = incoming.call_id
        await socket.send(codec.encode(wire.Answer(call_id=call_id, sdp=await peer.answer(incoming.sdp))))
        try:
            async with asyncio.timeout(MEDIA_TIMEOUT_S):
                await peer.connected.wait()
        except TimeoutError:
            await socket.send(codec.encode(wire.Reject(call_id=call_id)))
            return
        await socket.send(codec.encode(wire.Accept(call_id=call_id, call_type=wire.CallType.AUDIO)))
        peer.accept()
        self.talks += 1
        await asyncio.sleep(self._chance.uniform(0, MAX_TALK_S))
        await socket.send(codec.encode(wire.Hangup(call_id=call_id)))


_TO_SEAT = codec.Decoder(wire.ToSeat)
