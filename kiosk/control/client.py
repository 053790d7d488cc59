"""The other end of the control socket: for ``kiosk check`` and for the technician's page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kiosk.control import messages
from kiosk.control.address import connected_to
from kiosk.errors import BadMessage, KioskError

ANSWER_TIMEOUT_S = 10.0
"""For a state, from a bed on a busy Pi."""
TEST_TIMEOUT_S = 90.0
"""Between two words of a self-test: the bed waits for a person for 60 s."""


class NoAnswer(KioskError, OSError):
    """A bed runs, and does not answer or may not be asked; the text says which."""


class ControlClient:
    """A connection to a bed that runs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, message: messages.AnyAsked) -> None:
        """Ask; the answers are :meth:`hear`'s. Raises :exc:`NoAnswer`."""
        try:
            self._writer.write(messages.encode(message))
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._writer.drain()
        except (OSError, TimeoutError):
            raise NoAnswer(LEFT) from None

    async def hear(self, *, within_s: float = ANSWER_TIMEOUT_S) -> messages.AnyTold:
        """What the bed says next. Raises :exc:`NoAnswer`."""
        try:
            async with asyncio.timeout(within_s):
                line = await self._reader.readuntil(b"\n")
            return messages.decode_told(line)
        except TimeoutError:
            raise NoAnswer(f"the kiosk does not answer within {within_s:g} s") from None
        except BadMessage as error:
            raise NoAnswer(f"the kiosk that runs is of another version: {error}") from None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise NoAnswer(LEFT) from None

    async def state(self) -> messages.State:
        """How the bed is. Raises :exc:`NoAnswer`."""
        await self.say(messages.AskState())
        told = await self.hear()
        if isinstance(told, messages.State):
            return told
        raise NoAnswer(told.message if isinstance(told, messages.Refused) else LEFT)


LEFT = "the kiosk that runs has ended the connection"


@asynccontextmanager
async def bed_at(path: Path) -> AsyncIterator[ControlClient | None]:
    """The bed that listens at *path*; None when none does. Raises :exc:`NoAnswer`."""
    try:
        connection = connected_to(path)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        yield None
        return
    except BlockingIOError:
        raise NoAnswer(f"{path}: too many ask this kiosk at once: try again") from None
    except OSError as error:
        raise NoAnswer(
            f"{path}: {error.strerror}: a kiosk runs here; only root, its own user and control.group may ask it"
        ) from None
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=messages.MAX_TOLD_BYTES)
    try:
        yield ControlClient(reader, writer)
    finally:
        writer.transport.abort()
