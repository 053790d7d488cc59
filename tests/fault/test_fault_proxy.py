"""The proxy between beds and desk does to a connection what a bad network does, and no more."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from kiosk.bench import fault_proxy
from kiosk.bench.fault_proxy import Direction, FaultProxy, Proxied
from kiosk.bench.fault_schedule import WEIGHTS, FaultSchedule
from tests.waiting import HANG_S, until

WORDS = b"what a bed says to its desk, some forty bytes"


@dataclass
class Heard:
    """One end of a connection, and what came to it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    data: bytes = b""
    ended: str = ""
    reading: asyncio.Task[None] | None = None

    def listen(self) -> None:
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while piece := await self.reader.read(1000):
                self.data += piece
            self.ended = "fin"
        except ConnectionResetError:
            self.ended = "rst"

    def says(self, words: bytes) -> None:
        self.writer.write(words)

    async def hears(self, words: bytes) -> None:
        await until(lambda: self.data == words, f"{words!r} arrives, so far {self.data!r}")

    async def is_ended(self) -> str:
        await until(lambda: self.ended != "", "the connection ends")
        return self.ended


@dataclass
class Network:
    """A proxy, the desk's end of each connection, in the order they came to it."""

    proxy: FaultProxy
    desk_ends: list[Heard] = field(default_factory=list)
    bed_ends: list[Heard] = field(default_factory=list)

    async def connection(self) -> tuple[Heard, Heard, Proxied]:
        """A bed's end, the desk's end, and the connection between them."""
        known = len(self.desk_ends)
        bed = await self.bed_end()
        await until(lambda: len(self.desk_ends) > known)
        return bed, self.desk_ends[-1], self.proxy.connections[-1]

    async def bed_end(self) -> Heard:
        """A bed that connects."""
        bed = Heard(*await asyncio.open_connection("127.0.0.1", self.proxy.port))
        bed.listen()
        self.bed_ends.append(bed)
        return bed


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    """A desk that only listens, behind the proxy."""

    desk_ends: list[Heard] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        desk = Heard(reader, writer)
        desk.listen()
        desk_ends.append(desk)

    desk = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = desk.sockets[0].getsockname()[1]
    async with FaultProxy(lambda: ("127.0.0.1", port), random.Random(1)) as proxy:
        network = Network(proxy, desk_ends)
        yield network
    for heard in (*network.desk_ends, *network.bed_ends):
        heard.writer.close()
        with contextlib.suppress(OSError):
            await heard.writer.wait_closed()
        if heard.reading is not None:
            await asyncio.wait_for(heard.reading, HANG_S)
    desk.close()
    await desk.wait_closed()


async def test_without_faults_everything_passes_both_ways_and_so_does_the_end(network: Network) -> None:
    bed, desk, _ = await network.connection()
    bed.says(WORDS)
    await desk.hears(WORDS)
    desk.says(b"yes")
    await bed.hears(b"yes")
    bed.writer.close()
    assert await desk.is_ended() == "fin"
    await until(lambda: not network.proxy.connections)


async def test_a_delayed_connection_loses_nothing(network: Network) -> None:
    bed, desk, between = await network.connection()
    between.ways[Direction.UP].delay_s = between.ways[Direction.UP].jitter_s = 0.02
    for word in WORDS.split():
        bed.says(word)
        await asyncio.sleep(0)
    await desk.hears(WORDS.replace(b" ", b""))


async def test_a_dripping_connection_loses_nothing(network: Network) -> None:
    bed, desk, between = await network.connection()
    between.ways[Direction.UP].drips = True
    bed.says(WORDS)
    await until(lambda: 0 < len(desk.data) < len(WORDS), "a part of it arrives")
    await desk.hears(WORDS)


@pytest.mark.parametrize(("reset", "end"), [(False, "fin"), (True, "rst")])
async def test_a_cut_ends_both_halves(network: Network, reset: bool, end: str) -> None:
    bed, desk, between = await network.connection()
    between.cut(reset=reset)
    assert (await bed.is_ended(), await desk.is_ended()) == (end, end)


async def test_half_of_a_piece_arrives_before_the_end(network: Network) -> None:
    bed, desk, between = await network.connection()
    between.ways[Direction.UP].halves = True
    bed.says(WORDS)
    assert await desk.is_ended() == "fin"
    assert desk.data == WORDS[: len(WORDS) // 2]
    assert await bed.is_ended() == "fin"


async def test_a_half_open_connection_delivers_nothing_not_even_the_end(network: Network) -> None:
    bed, desk, between = await network.connection()
    between.ways[Direction.UP].swallows = True
    bed.says(WORDS)
    desk.says(b"are you there")
    await bed.hears(b"are you there")
    bed.writer.transport.abort()
    desk.says(b"are you there")  # the answer, that nobody is, is swallowed too
    await asyncio.sleep(0)
    other, other_desk, _ = await network.connection()
    other.says(WORDS)
    await other_desk.hears(WORDS)
    assert (desk.data, desk.ended) == (b"", "")
    desk.writer.close()
    await until(lambda: between not in network.proxy.connections)


async def test_a_held_connection_is_overtaken_by_a_newer_one_and_arrives_whole_after_its_bed_gave_up(
    network: Network,
) -> None:
    bed, desk, between = await network.connection()
    for way in between.ways.values():
        way.hold()
    bed.says(WORDS)
    bed.writer.close()
    newer, newer_desk, _ = await network.connection()
    newer.says(b"newer")
    await newer_desk.hears(b"newer")
    assert (desk.data, desk.ended) == (b"", "")
    between.calm()
    await desk.hears(WORDS)
    assert await desk.is_ended() == "fin"


async def test_a_desk_that_is_not_there_ends_the_beds_connection() -> None:
    with contextlib.closing(await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)) as nobody:
        port = nobody.sockets[0].getsockname()[1]
    async with FaultProxy(lambda: ("127.0.0.1", port), random.Random(1)) as proxy:
        bed = Network(proxy)
        assert await (await bed.bed_end()).is_ended() in ("fin", "rst")
        bed.bed_ends[0].writer.close()


async def test_a_connection_that_ended_leaves_no_socket_behind_for_a_peer_that_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fault_proxy, "LINGER_S", 0.05)
    more_than_fits = 8 * 1024 * 1024
    ours, theirs = socket.socketpair()
    with theirs:
        _, writer = await asyncio.open_connection(sock=ours)
        writer.write(bytes(more_than_fits))
        await Proxied(writer).ended()
        theirs.setblocking(False)
        arrived = 0
        async with asyncio.timeout(HANG_S):
            while piece := await asyncio.get_running_loop().sock_recv(theirs, 1024 * 1024):
                arrived += len(piece)
        assert arrived < more_than_fits, "what was not sent when it ended is never sent"


async def test_a_schedule_injects_every_kind_and_takes_back_what_can_be_taken_back(network: Network) -> None:
    schedule = FaultSchedule(network.proxy, random.Random(1), every_s=0.001)
    breaking = asyncio.create_task(schedule.run())
    async with asyncio.timeout(HANG_S):
        while not set(WEIGHTS) <= set(schedule.injected):
            await network.bed_end()
    breaking.cancel()
    await asyncio.gather(breaking, return_exceptions=True)
    assert all(
        not (way.delay_s or way.jitter_s or way.drips or way.halves)
        for connection in network.proxy.connections
        for way in connection.ways.values()
    )
