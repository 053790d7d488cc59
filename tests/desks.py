"""A real desk on a free port of this machine, and peers that say to it whatever they like."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kiosk import settings, usersig
from kiosk.desk.server import DeskServer
from kiosk.settings import read_secret
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType, OpenRequest
from tests.waiting import HANG_S

SEATS = (
    settings.Seat(user_id="nurse-1", name="Nurse Lin", groups=("ward",)),
    settings.Seat(user_id="nurse-2", name="Nurse Meyer", groups=("ward",)),
)
BED = "bed-301-2"
SDP = "v=0\r\n"

M = TypeVar("M", bound=wire.Message)


@dataclass
class Peer:
    """One WebSocket to the desk. Pings are answered while it listens."""

    socket: ClientConnection
    heard: list[wire.Message] = field(default_factory=list)

    async def says(self, message: wire.Message | str | bytes) -> None:
        await self.socket.send(codec.encode(message) if isinstance(message, wire.Message) else message)

    async def hears(self, kind: type[M], **wanted: Any) -> M:
        """The next message of *kind* whose fields are as *wanted*; others are passed over."""
        async with asyncio.timeout(HANG_S):
            while True:
                message = _ANY.decode(await self.socket.recv())
                self.heard.append(message)
                if isinstance(message, wire.Ping):
                    await self.says(wire.Pong())
                if isinstance(message, kind) and all(
                    getattr(message, name) == value for name, value in wanted.items()
                ):
                    return message

    async def asks(self, message: wire.Message) -> wire.Ack | wire.Fault:
        """Say *message* with an id; returns what answers it."""
        asked = f"ask-{len(self.heard)}"
        await self.says(msgspec.structs.replace(message, id=asked))
        async with asyncio.timeout(HANG_S):
            while True:
                answer = await self.hears(wire.Message)
                if isinstance(answer, wire.Ack | wire.Fault) and answer.id == asked:
                    return answer

    async def sees(self, **wanted: Any) -> wire.RequestView:
        """A request on a seat's newest board, as soon as it is as *wanted*."""
        boards = self.all_of(wire.Board)
        board = boards[-1] if boards else await self.hears(wire.Board)
        while True:
            for request in board.requests:
                if all(getattr(request, name) == value for name, value in wanted.items()):
                    return request
            board = await self.hears(wire.Board)

    async def is_closed(self) -> tuple[int, str]:
        """Wait until the desk closes; returns code and reason."""
        with contextlib.suppress(ConnectionClosed):
            await self.hears(_Nothing)
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""

    def all_of(self, kind: type[M]) -> list[M]:
        """What it heard of *kind*."""
        return [message for message in self.heard if isinstance(message, kind)]


class _Nothing(wire.Message, tag="nothing", frozen=True, kw_only=True):
    pass


_ANY = codec.Decoder(wire.ToKiosk | wire.ToSeat)


class RunningDesk:
    """What a test holds of a desk that runs."""

    def __init__(self, server: DeskServer, folder: Path, peers: contextlib.AsyncExitStack) -> None:
        self.server = server
        self.folder = folder
        self._peers = peers

    @property
    def ws_url(self) -> str:
        return self.server.url.replace("http", "ws", 1) + "ws"

    @property
    def port(self) -> int:
        return int(self.server.url.rpartition(":")[2].strip("/"))

    @property
    def secret_key(self) -> str:
        return read_secret(self.folder / "secret_key")

    def ticket(self, user_id: str, /, **claims: Any) -> str:
        """A UserSig; valid but for what *claims* say."""
        made: dict[str, Any] = {
            "sdk_app_id": self.server.settings.sdk_app_id,
            "secret_key": self.secret_key,
            "issued_at": int(time.time()),
        }
        return usersig.sign(user_id, **{**made, **claims})

    def login(self, user_id: str, /, **changes: Any) -> wire.Login:
        """A login; right but for the *changes*."""
        right = wire.Login(
            user_id=user_id, sdk_app_id=self.server.settings.sdk_app_id, user_sig=self.ticket(user_id)
        )
        return msgspec.structs.replace(right, **changes)

    async def stranger(self, **options: Any) -> Peer:
        """A WebSocket nobody has logged in on."""
        socket = await connect(self.ws_url, proxy=None, max_size=None, ping_interval=None, **options)
        self._peers.push_async_callback(socket.close)
        return Peer(socket)

    async def logs_in(self, user_id: str, **changes: Any) -> Peer:
        """A logged-in user."""
        peer = await self.stranger()
        await peer.says(self.login(user_id, **changes))
        await peer.hears(wire.LoginOk)
        return peer

    async def seat(self, user_id: str = "nurse-1") -> Peer:
        """A seat that is free."""
        peer = await self.logs_in(user_id)
        assert isinstance(await peer.asks(wire.SetSeatState(state="free")), wire.Ack)
        return peer

    async def bed(self, user_id: str = BED, request: OpenRequest | None = None) -> Peer:
        """A kiosk that has sent its snapshot."""
        peer = await self.logs_in(user_id)
        snapshot = wire.Snapshot(bed=wire.BedInfo(group="ward", ward="Ward 3", bed=user_id), request=request)
        assert isinstance(await peer.asks(snapshot), wire.Ack)
        return peer

    @contextlib.asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        """An HTTP client."""
        async with httpx.AsyncClient(base_url=self.server.url, trust_env=False, timeout=HANG_S) as client:
            yield client


def help_wanted(request_id: str = "request-1", **told: Any) -> OpenRequest:
    """A patient's open request."""
    return OpenRequest(request_id=request_id, age=0, **told)


def invitation(allocated: wire.Allocated, **changes: Any) -> wire.Invite:
    """What a kiosk sends to the seat it was given."""
    invite = wire.Invite(call_id=allocated.call_id, fence=allocated.fence, call_type=CallType.VIDEO, sdp=SDP)
    return msgspec.structs.replace(invite, **changes)


async def ringing(bed: Peer, seat: Peer, request_id: str = "request-1") -> wire.IncomingCall:
    """*bed* asks for help and *seat* rings."""
    await bed.says(wire.Request(request=help_wanted(request_id)))
    await bed.says(invitation(await bed.hears(wire.Allocated)))
    return await seat.hears(wire.IncomingCall)


@contextlib.asynccontextmanager
async def desk_running(folder: Path, changes: Mapping[str, Any] | None = None) -> AsyncIterator[RunningDesk]:
    """A desk with two seats in one group, and its data in *folder*."""
    made = settings.Desk(port=0, wrap_up=0.0, seats=SEATS)
    server = DeskServer(msgspec.structs.replace(made, **(changes or {})), folder)
    listens = asyncio.Event()
    running = asyncio.create_task(server.run(lambda url: listens.set()))
    waiting = asyncio.create_task(listens.wait())
    await asyncio.wait([running, waiting], timeout=HANG_S, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        await running
    try:
        async with contextlib.AsyncExitStack() as peers:
            yield RunningDesk(server, folder, peers)
    finally:
        server.stop()
        await running
