"""A WebSocket of the desk as words: send, receive, close; a peer that has gone is one error, whoever tells it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from kiosk.signaling import codec
from kiosk.signaling import messages as wire

CLOSE_POLICY = 1008
SHUTDOWN_TIMEOUT_S = 3


def address_of(websocket: WebSocket) -> str:
    """Where the peer is; empty when that is not known."""
    return websocket.client.host if websocket.client else ""


async def until_it_leaves(job: Callable[[], Awaitable[None]]) -> None:
    """Run *job*; a peer that has gone is its normal end."""
    with suppress(WebSocketDisconnect):
        await job()


async def send(websocket: WebSocket, message: wire.Message) -> None:
    """Raises :exc:`WebSocketDisconnect` when the peer has gone."""
    text = codec.encode(message)
    try:
        await websocket.send_text(text)
    except _CLOSED_MEANWHILE:
        raise WebSocketDisconnect from None


async def end(websocket: WebSocket, code: int, reason: str) -> None:
    """Close; a peer that has gone is closed already."""
    with suppress(WebSocketDisconnect, *_CLOSED_MEANWHILE):
        await websocket.close(code, reason)


async def receive(websocket: WebSocket) -> str | bytes:
    """The next words. Raises :exc:`WebSocketDisconnect` when the peer has gone."""
    event = await websocket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(event.get("code", 1000))
    text: str | bytes | None = event.get("text")
    return text if text is not None else event.get("bytes") or b""


_CLOSED_MEANWHILE = (OSError, RuntimeError)
"""How uvicorn and Starlette say that a WebSocket cannot be written to any more."""
FROM_KIOSK = codec.Decoder(wire.FromKiosk)
FROM_SEAT = codec.Decoder(wire.FromSeat)
