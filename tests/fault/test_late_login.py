"""A login that the network delivers after its bed gave it up and came in by another connection."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kiosk.bench.fault_proxy import Direction, FaultProxy, Proxied
from kiosk.signaling import desk_login
from tests.beds import bed_at
from tests.desks import BED, RunningDesk, desk_running
from tests.waiting import until


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RunningDesk]:
    async with desk_running(tmp_path / "desk-data") as running:
        yield running


async def test_a_bed_put_out_by_its_own_late_login_is_soon_back(
    desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_login, "LOGIN_TIMEOUT_S", 0.2)
    held: list[Proxied] = []
    async with FaultProxy(lambda: ("127.0.0.1", desk.port), random.Random(1)) as proxy:

        def user_sig() -> str:
            """The bed asks for it between the handshake and the login: the first login stays on its way."""
            if not held:
                held.append(proxy.connections[-1])
                held[0].ways[Direction.UP].hold()
            return desk.ticket(BED)

        async with bed_at(f"ws://127.0.0.1:{proxy.port}/ws", user_sig=user_sig) as bed:
            await bed.is_taken()
            assert bed.downs, "the first login was given up"
            held[0].calm()
            await until(lambda: len(bed.kicks) == 1, "the late login puts the bed out")
            await bed.is_taken()
