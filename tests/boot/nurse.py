"""A nurse outside the guest, who looks at the board of the desk inside."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from kiosk.settings import read_secret
from kiosk.signaling import messages as wire
from tests.desks import Peer

NURSE = "nurse-1"
SDK_APP_ID = 1400000000
SEEN_WITHIN_S = 600.0
"""A limit against hanging: emulated, on a busy machine, with a boot in between."""
LOOK_AGAIN_S = 0.2
ANSWER_TIMEOUT_S = 3.0
"""Of a desk that is not there: QEMU takes the connection all the same."""


class Nurse:
    """*port* leads to the desk; *ticket* is the file with her UserSig."""

    def __init__(self, port: int, ticket: Path) -> None:
        self._url = f"ws://127.0.0.1:{port}/ws"
        self._ticket = ticket

    async def sees(self, **wanted: Any) -> wire.RequestView:
        """The request that is as *wanted*, as soon as it is. Desk and machine may be away meanwhile."""
        async with asyncio.timeout(SEEN_WITHIN_S):
            while True:
                with contextlib.suppress(OSError, TimeoutError, WebSocketException):
                    async with self._logged_in() as peer:
                        return await peer.sees(**wanted)
                await asyncio.sleep(LOOK_AGAIN_S)

    @contextlib.asynccontextmanager
    async def _logged_in(self) -> AsyncIterator[Peer]:
        async with connect(self._url, proxy=None, open_timeout=ANSWER_TIMEOUT_S) as socket:
            peer = Peer(socket)
            user_sig = read_secret(self._ticket)
            await peer.says(wire.Login(user_id=NURSE, sdk_app_id=SDK_APP_ID, user_sig=user_sig))
            yield peer
