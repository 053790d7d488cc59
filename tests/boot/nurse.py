"""A nurse, who looks at the board of the desk."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

from websockets.asyncio.client import connect

from kiosk.signaling import messages as wire
from tests.desks import Peer, RunningDesk

NURSE = "nurse-1"
SEEN_WITHIN_S = 600.0
"""A limit against hanging: emulated, on a busy machine, with a boot in between."""


class Nurse:
    """She signs in anew for each look."""

    def __init__(self, desk: RunningDesk, tls: ssl.SSLContext) -> None:
        self._desk = desk
        self._tls = tls

    async def sees(self, **wanted: Any) -> wire.RequestView:
        """The request that is as *wanted*, as soon as it is."""
        async with asyncio.timeout(SEEN_WITHIN_S):
            while True:
                with contextlib.suppress(TimeoutError):  # of a peer: nothing is said while the bed is away
                    async with connect(self._desk.ws_url, proxy=None, ssl=self._tls) as socket:
                        peer = Peer(socket)
                        await peer.says(self._desk.login(NURSE))
                        return await peer.sees(**wanted)
