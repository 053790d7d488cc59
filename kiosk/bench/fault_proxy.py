"""A TCP proxy that breaks connections in the ways a hospital's network does, in this process.

It stands between beds and a desk, knows nothing of what it carries, and does to a connection only what TCP can do:
bytes come late, in pieces, or no more; never changed, never out of order within one connection.

=========  =========================================================================================
fault      what the two ends see
=========  =========================================================================================
delay      each piece comes late, by a fixed time and some jitter
drip       a few bytes at a time
fin        an orderly end in the middle of whatever was said
rst        the connection is reset
halve      half of the next piece arrives, then the connection ends
swallow    half-open: from now on nothing arrives in a direction, not even the end; nobody is told
hold       nothing arrives for a while, then everything, also when newer connections overtook this one
           and the end that spoke has long given up
=========  =========================================================================================

Runs on one event loop, on whose thread everything here is called. What happens when is decided by its caller
(:mod:`kiosk.bench.fault_schedule`).
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import random
import socket
import struct
from collections.abc import Callable
from types import TracebackType

PIECE_BYTES = 64 * 1024
DRIP_BYTES = 16
DRIP_GAP_S = 0.01
LINGER_S = 2.0
CONNECT_TIMEOUT_S = 5.0
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: what was not sent is dropped and the peer gets an RST (socket(7))."""

Address = tuple[str, int]


class Direction(enum.Enum):
    """Which way bytes go."""

    UP = "to the desk"
    DOWN = "to the bed"


class Way:
    """One direction of a connection. What is set here holds for the bytes that come next."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.jitter_s = 0.0
        self.drips = False
        self.halves = False
        self.swallows = False
        """Never taken back: TCP delivers everything up to some byte, or that and what follows."""
        self._open = asyncio.Event()
        self._open.set()

    def hold(self) -> None:
        """Keep what comes, in order, until :meth:`release`."""
        self._open.clear()

    def release(self) -> None:
        """Let it flow."""
        self._open.set()

    async def flows(self) -> None:
        """Wait until nothing is held."""
        await self._open.wait()


class Proxied:
    """One connection through the proxy."""

    def __init__(self, bed: asyncio.StreamWriter) -> None:
        self.ways = {direction: Way() for direction in Direction}
        self._writers = [bed]

    def reached(self, desk: asyncio.StreamWriter) -> None:
        """The other half is there."""
        self._writers.append(desk)

    def cut(self, *, reset: bool) -> None:
        """End both halves: with a FIN, or with an RST."""
        for writer in self._writers:
            end(writer, reset=reset)

    async def ended(self) -> None:
        """End both halves, and leave no socket behind for a peer that does not read what is still to be sent."""
        self.cut(reset=False)
        try:
            async with asyncio.timeout(LINGER_S):
                await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)
        except TimeoutError:
            pass
        finally:
            for writer in self._writers:
                writer.transport.abort()

    def calm(self) -> None:
        """Take back what can be taken back."""
        for way in self.ways.values():
            way.delay_s = way.jitter_s = 0.0
            way.drips = way.halves = False
            way.release()


class FaultProxy:
    """A context manager: listens at :attr:`port` of this machine and passes on to what *upstream* says then."""

    def __init__(self, upstream: Callable[[], Address], chance: random.Random) -> None:
        self._upstream = upstream
        self._chance = chance
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self.connections: list[Proxied] = []
        self.greet: Callable[[Proxied], None] = lambda connection: None
        """Called with each new connection before a byte of it is passed on."""

    async def __aenter__(self) -> FaultProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=PIECE_BYTES)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    @property
    def port(self) -> int:
        """Where beds connect."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, from_bed: asyncio.StreamReader, to_bed: asyncio.StreamWriter) -> None:
        connection = Proxied(to_bed)
        self.connections.append(connection)
        self.greet(connection)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                from_desk, to_desk = await asyncio.open_connection(*self._upstream(), limit=PIECE_BYTES)
            connection.reached(to_desk)
            await asyncio.gather(
                self._pump(connection, Direction.UP, from_bed, to_desk),
                self._pump(connection, Direction.DOWN, from_desk, to_bed),
            )
        except (OSError, TimeoutError):
            connection.cut(reset=True)  # the desk is not there
        except asyncio.CancelledError:
            connection.cut(reset=True)
            raise
        finally:
            self.connections.remove(connection)
            await connection.ended()

    async def _pump(
        self, connection: Proxied, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass on until the speaking end has ended, and then its end: in its turn, if it gets there at all."""
        way = connection.ways[direction]
        reset = False
        while True:
            try:
                piece = await reader.read(PIECE_BYTES)
            except ConnectionError:
                piece, reset = b"", True
            if way.delay_s or way.jitter_s:
                await asyncio.sleep(way.delay_s + self._chance.uniform(0, way.jitter_s))
            await way.flows()
            if not piece:
                break
            if way.halves:
                await deliver(writer, piece[: len(piece) // 2], drips=False)
                connection.cut(reset=False)
                return
            if not way.swallows and not await deliver(writer, piece, drips=way.drips):
                # Whoever should hear it is gone. That news travels the other way, in its turn.
                way.swallows = True
        if not way.swallows:
            end(writer, reset=reset)


async def deliver(writer: asyncio.StreamWriter, piece: bytes, *, drips: bool) -> bool:
    """Write *piece*, at once or a few bytes at a time; False when its receiver is gone."""
    step = DRIP_BYTES if drips else len(piece)
    try:
        for start in range(0, len(piece), max(1, step)):
            writer.write(piece[start : start + step])
            await writer.drain()
            if drips:
                await asyncio.sleep(DRIP_GAP_S)
    except ConnectionError:
        return False
    return True


def end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """Close the socket of *writer*: what is written already arrives first, unless it is a *reset*."""
    transport = writer.transport
    if not reset:
        transport.close()
        return
    plain = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it is closed already
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
    transport.abort()
