"""A TCP proxy between a bed (or a seat) and its desk that misbehaves as a network does, each direction by itself.

``proxy.to_desk`` and ``proxy.from_desk`` are :class:`Way`; each passes until told to delay, swallow or cut. A way
that swallows keeps everything from the other end, also that the connection was closed: that is a half-open
connection. What a connection has lost it never gets back, so a way that passes again helps connections that lost
something only by the next one they make. All on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

CHUNK_BYTES = 65536
CHUNKS_UNDER_WAY = 256
"""What is delayed waits in a queue of so many chunks; beyond, the sender is held up, as by a full socket."""


class Way:
    """One direction of every connection through the proxy, now and later."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.swallows = False
        self.carried = 0
        """Bytes delivered since the proxy began."""
        self.swallowed = 0
        self._lines: set[_Line] = set()

    def passes(self) -> None:
        """Deliver what comes, at once."""
        self.delay_s, self.swallows = 0.0, False

    def delays(self, seconds: float) -> None:
        """Deliver what comes *seconds* later, in order."""
        self.delay_s, self.swallows = seconds, False

    def swallow(self) -> None:
        """Deliver nothing, and tell nobody."""
        self.swallows = True

    def cut(self) -> None:
        """End this direction of the connections there are: the receiver reads its end (FIN)."""
        for line in self._lines:
            line.ends()


class _Line:
    """One direction of one connection."""

    def __init__(self, way: Way, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        self._way = way
        self._source = source
        self._sink = sink
        self._lost = False
        self._under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_UNDER_WAY)

    async def carry(self) -> None:
        """Until the source ends and this was delivered, or for ever where it is not delivered."""
        loop = asyncio.get_running_loop()
        self._way._lines.add(self)
        delivering = asyncio.create_task(self._deliver())
        try:
            while True:
                data = await self._read()
                if self._way.swallows or self._lost:
                    self._lost = True
                    self._way.swallowed += len(data)
                else:
                    await self._under_way.put((loop.time() + self._way.delay_s, data))
                if not data:
                    break
            await delivering
        finally:
            self._way._lines.discard(self)
            delivering.cancel()

    def ends(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self._sink.write_eof()

    async def _read(self) -> bytes:
        try:
            return await self._source.read(CHUNK_BYTES)
        except ConnectionError:
            return b""

    async def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await self._under_way.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                self.ends()
                return
            with contextlib.suppress(ConnectionError):
                self._sink.write(data)
                await self._sink.drain()
                self._way.carried += len(data)


class Proxy:
    """Listens on a free port of this machine and connects each client with the desk at *port*."""

    def __init__(self, port: int) -> None:
        self.to_desk = Way()
        self.from_desk = Way()
        self.connections = 0
        """Made since the proxy began."""
        self.port = 0
        self._desk_port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ws_url(self) -> str:
        """What a bed calls its desk."""
        return f"ws://127.0.0.1:{self.port}/ws"

    def passes(self) -> None:
        """Both ways deliver at once."""
        for way in (self.to_desk, self.from_desk):
            way.passes()

    def swallow(self) -> None:
        """Both ways deliver nothing: the network is gone, and neither end is told."""
        for way in (self.to_desk, self.from_desk):
            way.swallow()

    def cut(self) -> None:
        """Break the connections there are, both ends at once (RST)."""
        for writer in self._writers:
            writer.transport.abort()

    async def meets(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has connected."""
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = {writer}
        self._writers |= writers
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._desk_port)
            writers.add(far_writer)
            self._writers |= writers
            await asyncio.gather(
                _Line(self.to_desk, reader, far_writer).carry(), _Line(self.from_desk, far_reader, writer).carry()
            )
        except (OSError, asyncio.CancelledError):
            pass  # the desk is not there, or the test has ended
        finally:
            self._writers -= writers
            self._tasks.discard(task)
            for each in writers:
                each.transport.abort()

    async def close(self) -> None:
        """Let every connection go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def proxied(port: int) -> AsyncIterator[Proxy]:
    """A proxy before the desk at *port*."""
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy.meets, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
