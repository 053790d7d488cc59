"""A link that dies without a word: bed, desk and seat notice, and the same requests are open when it is back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kiosk.desk import listening, peer_session
from kiosk.signaling import client, desk_login
from kiosk.signaling import messages as wire
from tests.bedsides import RunningBedside, bed_settings, bedside_running
from tests.desks import BED, Peer, RunningDesk, desk_running
from tests.fault.proxy import Proxy, proxied
from tests.waiting import HANG_S, until

pytestmark = pytest.mark.promise("R05")

BED_TELLS_WITHIN_S = 10.0
DESK_TELLS_WITHIN_S = 30.0
"""Facts §7.5."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's rules at ten times its pace, so that a test need not wait for long."""
    monkeypatch.setattr(peer_session, "HEARTBEAT_S", peer_session.HEARTBEAT_S / 10)
    monkeypatch.setattr(client, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(client, "MAX_RETRY_S", 0.1)
    monkeypatch.setattr(desk_login, "CONNECT_TIMEOUT_S", 0.5)
    monkeypatch.setattr(desk_login, "LOGIN_TIMEOUT_S", 0.5)


def test_what_bed_and_desk_wait_for_fits_into_what_the_patient_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert client.SILENCE_LIMIT_S < BED_TELLS_WITHIN_S
    assert client.HEARTBEATS_MISSED * peer_session.HEARTBEAT_S <= client.SILENCE_LIMIT_S
    assert client.ACK_TIMEOUT_S < BED_TELLS_WITHIN_S
    desk_closes_after_s = (peer_session.BEATS_UNANSWERED + 1) * peer_session.HEARTBEAT_S
    desk_closes_after_s += peer_session.SILENT_GOODBYE_S + listening.LINGER_S
    assert desk_closes_after_s < BED_TELLS_WITHIN_S, "where only the desk's words arrive, its goodbye tells the bed"
    assert desk_closes_after_s < DESK_TELLS_WITHIN_S


@contextlib.asynccontextmanager
async def ward_by_proxy(folder: Path) -> AsyncIterator[tuple[RunningDesk, Proxy, RunningBedside]]:
    async with contextlib.AsyncExitStack() as stack:
        desk = await stack.enter_async_context(desk_running(folder))
        proxy = await stack.enter_async_context(proxied(desk.port))
        bed = await stack.enter_async_context(
            bedside_running(bed_settings(proxy.ws_url), user_sig=lambda: desk.ticket(BED))
        )
        yield desk, proxy, bed


@contextlib.asynccontextmanager
async def watching(desk: RunningDesk) -> AsyncIterator[Peer]:
    """A seat that is not free, looks at its board and answers pings as long as it is watched."""
    seat = await desk.seat()
    await seat.says(wire.SetSeatState(state="rest"))
    yield seat


@pytest.mark.parametrize("ways", [["to_desk", "from_desk"], ["to_desk"], ["from_desk"]], ids="+".join)
async def test_a_link_that_dies_without_a_word_is_shown_at_both_ends_and_the_request_comes_back(
    tmp_path: Path, ways: list[str]
) -> None:
    async with ward_by_proxy(tmp_path) as (desk, proxy, bed), watching(desk) as seat:
        await bed.shows("ready")
        bed.call.press()
        await bed.shows("queued")
        request = await seat.sees(online=True)
        for way in ways:
            getattr(proxy, way).swallow()
        await asyncio.gather(bed.shows("use_other_bell"), seat.sees(online=False))
        proxy.passes()
        again = await seat.sees(online=True)
        await bed.shows("queued")
        assert again.request_id == request.request_id
        assert again.presses == 1
        assert list(desk.server.relay.allocation.ledger.requests) == [request.request_id]


async def test_an_idle_bed_does_not_claim_to_be_connected_over_a_dead_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_login, "CLOSE_TIMEOUT_S", 10 * HANG_S)  # a goodbye over it must not be waited for
    async with ward_by_proxy(tmp_path) as (desk, proxy, bed):
        await bed.shows("ready")
        proxy.swallow()
        await bed.shows("no_link")
        await until(lambda: not desk.server.relay.is_connected(BED), "the desk lets it go")
        proxy.passes()
        await bed.shows("ready")
        await until(lambda: desk.server.relay.allocation.ledger.beds[BED].online)


async def test_a_press_over_a_dead_link_is_never_shown_as_sent_and_arrives_when_it_is_back(tmp_path: Path) -> None:
    async with ward_by_proxy(tmp_path) as (desk, proxy, bed):
        await bed.shows("ready")
        proxy.swallow()
        bed.call.press()
        await bed.shows("use_other_bell")
        assert bed.relay_closed
        assert not desk.server.relay.allocation.ledger.requests
        assert not {"sent", "queued"} & set(bed.shown)
        proxy.passes()
        await bed.shows("queued")
        assert not bed.relay_closed
        assert [event for event in bed.traced if "relay" in event] == ["relay_closed", "relay_open"]
        assert len(desk.server.relay.allocation.ledger.requests) == 1


async def test_a_bed_that_comes_back_while_the_desk_still_holds_its_dead_link_is_let_in(tmp_path: Path) -> None:
    async with ward_by_proxy(tmp_path) as (desk, proxy, bed):
        await bed.shows("ready")
        bed.call.press()
        await bed.shows("queued")
        proxy.swallow()
        # The bed notices by itself; the desk only ever hears of it by the next login.
        await bed.shows("use_other_bell")
        proxy.passes()
        await bed.shows("queued")
        assert len(desk.server.relay.allocation.ledger.requests) == 1
        assert desk.server.relay.connected == 1


async def test_a_link_that_is_slow_but_alive_is_kept(tmp_path: Path) -> None:
    async with ward_by_proxy(tmp_path) as (_, proxy, bed):
        await bed.shows("ready")
        for way in (proxy.to_desk, proxy.from_desk):
            way.delays(peer_session.HEARTBEAT_S / 2)
        bed.call.press()
        await bed.shows("queued")
        assert proxy.connections == 1


@pytest.mark.parametrize("way", ["to_desk", "from_desk"])
async def test_a_link_that_is_cut_in_one_direction_is_made_anew(tmp_path: Path, way: str) -> None:
    async with ward_by_proxy(tmp_path) as (desk, proxy, bed):
        await bed.shows("ready")
        bed.call.press()
        await bed.shows("queued")
        getattr(proxy, way).cut()
        await until(lambda: proxy.connections == 2, "the bed connects anew")
        await bed.shows("queued")
        assert len(desk.server.relay.allocation.ledger.requests) == 1


async def test_a_link_that_is_cut_in_mid_word_is_made_anew(tmp_path: Path) -> None:
    async with ward_by_proxy(tmp_path) as (desk, proxy, bed):
        await bed.shows("ready")
        proxy.cut()
        bed.call.press()
        await until(lambda: proxy.connections == 2)
        await bed.shows("queued")
        assert len(desk.server.relay.allocation.ledger.requests) == 1
