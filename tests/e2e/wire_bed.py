"""A bed that is only its messages: for boards of many beds, and for beds that misbehave as no real one would."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any, TypeVar

from aiortc import RTCConfiguration, RTCPeerConnection
from websockets.asyncio.client import ClientConnection, connect

from kiosk.demo.ward import Ward
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType
from tests.waiting import HANG_S

M = TypeVar("M", bound=wire.Message)


class WireBed:
    """Use as ``async with WireBed(ward, url, room="302", age=63_000) as bed``; the rest describes its request."""

    def __init__(
        self, ward: Ward, url: str, *, room: str, devices: wire.Devices | None = None, **request: Any
    ) -> None:
        self._ward = ward
        self._url = url
        self._devices = devices or wire.Devices()
        self.user_id = f"bed-{room}-1"
        self._bed = wire.BedInfo(group="ward-3", ward="Ward 3", room=room, bed="1")
        self._request = wire.OpenRequest(request_id=f"request-{room}", **({"age": 0} | request))
        self._decoder = codec.Decoder(wire.ToKiosk)
        self._inbox: asyncio.Queue[wire.Message] = asyncio.Queue(256)
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._pc: RTCPeerConnection | None = None

    async def __aenter__(self) -> WireBed:
        self._socket = await connect(self._url.replace("http", "ws", 1) + "ws", proxy=None)
        self._reader = asyncio.create_task(self._read(self._socket))
        user_sig = self._ward.registry().issue(self.user_id, now=int(time.time()))
        app = self._ward.settings.desk.sdk_app_id
        await self.send(wire.Login(user_id=self.user_id, sdk_app_id=app, user_sig=user_sig))
        await self.hears(wire.LoginOk)
        await self.send(wire.Snapshot(bed=self._bed, request=self._request, devices=self._devices))
        await self.hears(wire.RequestTaken)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._socket is not None
        assert self._reader is not None
        await self._socket.close()
        await asyncio.gather(self._reader, return_exceptions=True)
        if self._pc is not None:
            await self._pc.close()

    async def send(self, message: wire.Message) -> None:
        assert self._socket is not None
        await self._socket.send(codec.encode(message))

    async def hears(self, kind: type[M]) -> M:
        """The next message of *kind*."""
        async with asyncio.timeout(HANG_S):
            while True:
                message = await self._inbox.get()
                if isinstance(message, kind):
                    return message

    async def invites(self) -> wire.Allocated:
        """Invite the allocated seat with an offer whose media never come."""
        allocated = await self.hears(wire.Allocated)
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._pc.addTransceiver("audio")
        self._pc.addTransceiver("video")
        await self._pc.setLocalDescription(await self._pc.createOffer())
        await self.send(
            wire.Invite(
                call_id=allocated.call_id,
                fence=allocated.fence,
                call_type=CallType.VIDEO,
                sdp=self._pc.localDescription.sdp,
            )
        )
        return allocated

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            message = self._decoder.decode(text)
            if isinstance(message, wire.Ping):
                await self.send(wire.Pong())
            else:
                self._inbox.put_nowait(message)
