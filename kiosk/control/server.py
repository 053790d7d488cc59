"""The bed's end of the control socket.

Runs on the event loop's thread. It must never delay or break a call, so everything about it is bounded: how many
may connect, how long a line is, how often one may ask, how long an answer may take to be read. Who is slow, silent
or hostile is dropped. When the socket cannot be made, the bed goes on without it, says so, and tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path

from kiosk.check.examiner import Examiner
from kiosk.check.findings import Finding, Part, Report
from kiosk.control import messages
from kiosk.control.address import listening_at
from kiosk.control.messages import Refusal
from kiosk.control.peers import group_id, may_speak, peer_of
from kiosk.errors import BadMessage, KioskError

log = logging.getLogger(__name__)

MAX_CLIENTS = 8
MAX_BAD_LINES = 10
MAX_UNREAD = 4
"""Lines of one client that wait; who sends more without reading its answers is dropped."""
IDLE_TIMEOUT_S = 60.0
"""A client that asks nothing for so long is dropped."""
WRITE_TIMEOUT_S = 2.0
"""An answer that is not taken within this time drops its client."""
PACE_S = 0.05
"""Between two answers to one client: eight that ask without end cost the bed 160 answers a second, some 3 % of a
core."""
ANSWER_TIMEOUT_S = 60.0
"""For a person to look at the lamp and come back to the screen."""
MAY_ASK = "only root, the kiosk's own user and control.group may ask"
RETRY_FIRST_S, RETRY_MOST_S = 0.25, 30.0
BACKLOG = 2 * MAX_CLIENTS
"""So many may wait to be let in or sent away; who comes then is told by the system to try again."""


class SelfTestRefused(KioskError):
    """No self-test now; ``code`` says why."""

    def __init__(self, code: Refusal, message: str) -> None:
        super().__init__(message)
        self.code = code


class Served(ABC):
    """What the socket's owner must provide; every method is called on the loop's thread."""

    @abstractmethod
    def state(self) -> messages.State:
        """How the bed is; at once."""

    @abstractmethod
    async def self_test(self, wanted: messages.RunSelfTest, examiner: Examiner) -> Report:
        """Test the bed; may be cancelled. Raises :exc:`SelfTestRefused`."""


class ControlServer:
    """Listens at *path* for *served*."""

    def __init__(self, path: Path, *, group: str, served: Served) -> None:
        self._path = path
        self._group = group
        self._served = served
        self._clients: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Listen until cancelled."""
        wait_s, told = RETRY_FIRST_S, ""
        while True:
            try:
                await self._listen()
            except OSError as error:
                words = error.strerror or str(error)
                if words != told and not isinstance(error, FileNotFoundError):
                    log.warning("x control socket %s: %s; the bed goes on without", self._path, words)
                    told = words
            except Exception:  # whatever is wrong here is no reason to start the bed anew
                log.exception("x control socket %s", self._path)
            await asyncio.sleep(wait_s)
            wait_s = min(RETRY_MOST_S, 2 * wait_s)

    async def _listen(self) -> None:
        group = group_id(self._group)
        with listening_at(self._path, group=group) as listening:
            server = await asyncio.start_unix_server(
                lambda reader, writer: self._came(reader, writer, group),
                sock=listening,
                limit=messages.MAX_ASKED_BYTES,
                backlog=BACKLOG,
            )
            log.info("- control socket: %s", self._path)
            try:
                await asyncio.Event().wait()
            finally:
                server.close()
                for task in self._clients:
                    task.cancel()
                await asyncio.gather(*self._clients, return_exceptions=True)

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, group: int | None) -> None:
        task = asyncio.create_task(self._serve(reader, writer, group))
        self._clients.add(task)
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._clients.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("x control socket: a client failed", exc_info=task.exception())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, group: int | None) -> None:
        client = _Client(reader, writer, self._served)
        try:
            peer = peer_of(writer.get_extra_info("socket"))
            if not may_speak(peer, group=group):
                log.warning("x control socket: user %d (process %d) may not ask", peer.uid, peer.pid)
                await client.refuse(Refusal.NOT_ALLOWED, MAY_ASK)
            elif len(self._clients) > MAX_CLIENTS:
                await client.refuse(Refusal.TOO_MANY, f"{MAX_CLIENTS} are connected already")
            else:
                await client.serve()
        except (OSError, TimeoutError) as error:
            log.debug("x control socket: a client is dropped: %s", error or type(error).__name__)
        finally:
            writer.transport.abort()


class _Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, served: Served) -> None:
        self._reader = reader
        self._writer = writer
        self._served = served
        self._lines: asyncio.Queue[bytes] = asyncio.Queue(MAX_UNREAD)
        self._last_words = ""
        self._bad = 0

    async def serve(self) -> None:
        """Answer until it leaves or is dropped. Raises OSError or TimeoutError."""
        reading = asyncio.create_task(self._read())
        try:
            while self._bad < MAX_BAD_LINES:
                async with asyncio.timeout(IDLE_TIMEOUT_S):
                    line = await self._next_line(reading)
                if line is None:
                    break
                await self._answer(line, reading)
                await asyncio.sleep(PACE_S)
            if self._last_words:
                await self.refuse(Refusal.BAD_MESSAGE, self._last_words)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def refuse(self, code: Refusal, message: str, *, field: str = "") -> None:
        """Say no."""
        await self._tell(messages.Refused(code=code, message=message, field=field))

    async def _read(self) -> None:
        """Until its end, or until it does what no answer helps against."""
        try:
            while True:
                self._lines.put_nowait(await self._reader.readuntil(b"\n"))
        except asyncio.LimitOverrunError:
            self._last_words = f"a line may have at most {messages.MAX_ASKED_BYTES} bytes"
        except asyncio.QueueFull:
            self._last_words = f"at most {MAX_UNREAD} lines may wait: read the answers"
        except (asyncio.IncompleteReadError, OSError):
            return

    async def _next_line(self, reading: asyncio.Task[None]) -> bytes | None:
        """The next line, also of one that has left since; None: there is none, and will be none."""
        getting = asyncio.create_task(self._lines.get())
        try:
            await asyncio.wait([getting, reading], return_when=asyncio.FIRST_COMPLETED)
            return self._lines.get_nowait() if not getting.done() else getting.result()
        except asyncio.QueueEmpty:
            return None
        finally:
            getting.cancel()

    async def _answer(self, line: bytes, reading: asyncio.Task[None]) -> None:
        match await self._understood(line):
            case messages.AskState():
                await self._tell(self._served.state())
            case messages.RunSelfTest() as wanted:
                await self._self_test(wanted, reading)
            case messages.Looked():
                await self.refuse(Refusal.BAD_MESSAGE, "nobody has asked to look", field="type")

    async def _understood(self, line: bytes) -> messages.AnyAsked | None:
        try:
            return messages.decode_asked(line)
        except BadMessage as error:
            self._bad += 1
            await self.refuse(Refusal.BAD_MESSAGE, str(error), field=error.field)
            return None

    async def _self_test(self, wanted: messages.RunSelfTest, reading: asyncio.Task[None]) -> None:
        examiner = _FarExaminer(self._tell, lambda: self._looked(reading))
        testing = asyncio.create_task(self._served.self_test(wanted, examiner))
        try:
            await asyncio.wait([testing, reading], return_when=asyncio.FIRST_COMPLETED)
        finally:
            testing.cancel()  # whoever wanted it has left
            await asyncio.gather(testing, return_exceptions=True)
        if testing.cancelled():
            return
        try:
            await self._tell(messages.SelfTested(report=testing.result()))
        except SelfTestRefused as error:
            await self.refuse(error.code, str(error))

    async def _looked(self, reading: asyncio.Task[None]) -> bool | None:
        """The answer to a question; None when there is none in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while (line := await self._next_line(reading)) is not None:
                    answer = await self._understood(line)
                    if isinstance(answer, messages.Looked):
                        return answer.yes
                    if answer is not None:
                        await self.refuse(Refusal.BUSY, "a question is open: answer it with looked", field="type")
        return None

    async def _tell(self, told: messages.Told) -> None:
        self._writer.write(messages.encode(told))
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await self._writer.drain()


class _FarExaminer(Examiner):
    """Whoever is at the other end."""

    def __init__(
        self, tell: Callable[[messages.Told], Awaitable[None]], looked: Callable[[], Awaitable[bool | None]]
    ) -> None:
        self._tell = tell
        self._looked = looked

    async def found(self, finding: Finding) -> None:
        await self._tell(messages.Found(finding=finding))

    async def looks(self, part: Part) -> bool | None:
        await self._tell(messages.Question(part=part))
        return await self._looked()

    async def press_now(self) -> None:
        await self._tell(messages.PressNow())
