"""Keeps an eye on the STUN and TURN servers: a call uses those that answer, and waits for no other.

Runs on the event loop's thread. Each server is asked when it becomes known, once a minute, and after a call found
no path. Where there are none, nothing is asked.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from kiosk.media import ice_choice
from kiosk.media.aiortc_private import server_answers
from kiosk.signaling.messages import IceServer

log = logging.getLogger(__name__)

ASK_AGAIN_S = 60.0
"""At most, and at least half: a ward's beds that started together shall not ask together."""
ANSWER_TIMEOUT_S = 3.0
"""For one server: a lost datagram is sent again after 0.5 s and 1.5 s (RFC 8489 §6.2.1). No call waits for this."""

Asks = Callable[[ice_choice.Address, IceServer], Awaitable[None]]
"""Returns when the server has answered; raises whatever went wrong."""


class Relays:
    """The servers for the calls of one bed. *own* are those of its settings."""

    def __init__(self, own: Sequence[str], *, asks: Asks = server_answers) -> None:
        self._own = tuple(own)
        self._asks = asks
        self._servers = ice_choice.known(self._own, ())
        self._answers: dict[str, bool] = {}
        self._wanted = asyncio.Event()

    def take(self, from_desk: Sequence[IceServer]) -> None:
        """What the desk names, at each login and when it renews the credentials."""
        self._servers = ice_choice.known(self._own, from_desk)
        self._wanted.set()

    def doubt(self) -> None:
        """A call found no path: ask the servers again."""
        self._wanted.set()

    def for_a_call(self) -> tuple[IceServer, ...]:
        """Those to use for a connection that is made now."""
        return ice_choice.for_a_call(self._servers, self._answers)

    async def look(self) -> Mapping[str, bool]:
        """Ask all of them now; by URL, whether it answers. Takes ``ANSWER_TIMEOUT_S`` at most."""
        await self._ask()
        return self._answers

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._until_asked() if self._servers else None):
                    await self._wanted.wait()
            self._wanted.clear()
            await self._ask()

    def _until_asked(self) -> float:
        return random.uniform(ASK_AGAIN_S / 2, ASK_AGAIN_S)  # noqa: S311  (spreads questions, guards nothing)

    async def _ask(self) -> None:
        asked = self._servers
        found = await asyncio.gather(*(self._answers_now(server) for server in asked))
        answers = {server.urls: answered for server, answered in zip(asked, found, strict=True)}
        for url, answered in answers.items():
            if answered is not self._answers.get(url):
                log.log(
                    logging.INFO if answered else logging.WARNING,
                    "%s",
                    f"- {url} answers" if answered else f"x {url} does not answer; calls go without it",
                )
        self._answers = answers

    async def _answers_now(self, server: IceServer) -> bool:
        address = ice_choice.address_of(server.urls)
        assert address is not None  # ``known`` lets no other through
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._asks(address, server)
        except Exception as error:  # the server's answer is anybody's; whatever is wrong, it cannot be used
            log.debug("x %s: %s", server.urls, error or type(error).__name__)
            return False
        return True
