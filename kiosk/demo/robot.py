"""A robot at a seat: signs in as a page does, answers with a tone and a coded picture, and checks what it gets.

It is also the shortest complete seat client there is; ``kiosk/signaling/WIRE.md`` tells the same story in prose.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from kiosk.errors import KioskError
from kiosk.media.answering_peer import AnsweringPeer
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType

HTTP_TIMEOUT_S = 10.0
WAIT_S = 20.0


class Robot:
    """One seat. Use as ``async with Robot(desk_url, code) as robot``."""

    def __init__(self, desk_url: str, code: str, *, hz: float = 660.0) -> None:
        self._desk_url = desk_url
        self._code = code
        self._hz = hz
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._inbox: asyncio.Queue[wire.Message] = asyncio.Queue(256)
        self._accepted = ""
        self._connection = 0
        self._closing: set[asyncio.Task[None]] = set()
        self.peer: AnsweringPeer | None = None

    async def __aenter__(self) -> Robot:
        await self._log_in()
        await self.send(wire.SetSeatState(state="free"))
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.lose_the_desk()
        await self.drop_call()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def lose_the_desk(self) -> None:
        """Close the WebSocket, if it is not gone already; the media of a call go on."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    async def come_back(self) -> None:
        """Connect to the desk again, as the page does; the call of before goes on."""
        await self.lose_the_desk()
        await self._log_in()

    async def _log_in(self) -> None:
        ticket = await asyncio.to_thread(self._sign_in)
        self._socket = await connect(self._desk_url.replace("http", "ws", 1) + "ws", proxy=None)
        self._reader = asyncio.create_task(self._read(self._socket))
        await self.send(
            wire.Login(
                user_id=ticket["userID"],
                sdk_app_id=ticket["sdkAppID"],
                user_sig=ticket["userSig"],
                call_id=self._accepted or None,
            )
        )
        await self.hears(wire.LoginOk)

    async def send(self, message: wire.Message) -> None:
        """Put *message* on the wire."""
        assert self._socket is not None
        await self._socket.send(codec.encode(message))

    async def hears(self, kind: type[wire.Message]) -> Any:
        """The next message of *kind*; others are passed over. Raises :exc:`KioskError` after ``WAIT_S``."""
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    message = await self._inbox.get()
                    if isinstance(message, kind):
                        return message
        except TimeoutError:
            raise KioskError(f"the robot seat heard no {kind.__name__} within {WAIT_S:.0f} s") from None

    async def rings(self) -> tuple[wire.IncomingCall, float]:
        """Wait for a call and answer its offer at once, as the page does; returns it and when it rang."""
        incoming: wire.IncomingCall = await self.hears(wire.IncomingCall)
        rang_at = time.monotonic()
        self.peer = AnsweringPeer(hz=self._hz)
        sdp = await self.peer.answer(incoming.sdp)
        await self.send(wire.Answer(call_id=incoming.call_id, sdp=sdp))
        return incoming, rang_at

    async def accept(self, incoming: wire.IncomingCall, call_type: CallType) -> float:
        """Take the call; returns when."""
        assert self.peer is not None
        async with asyncio.timeout(WAIT_S):
            await self.peer.connected.wait()
        accepted_at = time.monotonic()
        await self.send(wire.Accept(call_id=incoming.call_id, call_type=call_type))
        self.peer.accept()
        await self.hears(wire.Accepted)
        self._accepted, self._connection = incoming.call_id, 0
        return accepted_at

    async def drop_call(self) -> None:
        """Close the media."""
        self._accepted = ""
        peer, self.peer = self.peer, None
        if peer is not None:
            await peer.close()

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            message = _TO_SEAT.decode(text)
            if isinstance(message, wire.Ping):
                await self.send(wire.Pong())
            elif isinstance(message, wire.Rebuild):
                await self._rebuild(message)
            elif not isinstance(message, wire.Board | wire.Quality):  # nobody asks for them
                await self._inbox.put(message)

    async def _rebuild(self, message: wire.Rebuild) -> None:
        """The path is dead, and the bed offers a new one: answer at once, as the page does."""
        if message.call_id != self._accepted or message.connection <= self._connection or self.peer is None:
            return
        dead, self.peer = self.peer, AnsweringPeer(hz=self._hz)
        self._connection = message.connection
        closing = asyncio.create_task(dead.close())  # not waited for: it is dead
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        sdp = await self.peer.answer(message.sdp)
        self.peer.accept()
        await self.send(wire.Answer(call_id=message.call_id, connection=message.connection, sdp=sdp))

    def _sign_in(self) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310  (the demo's own desk)
            f"{self._desk_url}api/sign-in",
            data=json.dumps({"code": self._code}).encode(),
            headers={"content-type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=HTTP_TIMEOUT_S) as answer:
            ticket: dict[str, Any] = json.load(answer)
        return ticket


_TO_SEAT = codec.Decoder(wire.ToSeat)
