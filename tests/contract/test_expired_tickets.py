"""A UserSig that runs out while its user is connected: the connection ends, but no call and no request does."""

from __future__ import annotations

import time

import pytest

from kiosk.desk import peer_session
from kiosk.signaling import client
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CloseReason, ErrorCode
from tests.bedsides import bed_settings, bedside_running
from tests.desks import BED, Peer, RunningDesk, help_wanted, ringing

LIFE_S = 100
LEFT_S = 2
"""In whole seconds, as tickets are dated: at least one is left when it is shown to the desk."""
BEATS = 30
"""Of a tenth of a second: long after the tickets have run out."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_session, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(client, "REFUSED_RETRY_S", 0.1)


def nearly_expired(desk: RunningDesk, user_id: str) -> str:
    return desk.ticket(user_id, issued_at=int(time.time()) - LIFE_S + LEFT_S, ttl_s=LIFE_S)


async def comes(desk: RunningDesk, user_id: str) -> Peer:
    """Logs in with what is left of its ticket."""
    return await desk.logs_in(user_id, user_sig=nearly_expired(desk, user_id))


async def is_let_stay(*peers: Peer) -> None:
    """Its connection outlives its ticket."""
    for _ in range(BEATS):
        for peer in peers:
            await peer.hears(wire.Ping)


async def is_shown_the_door(peer: Peer) -> None:
    fault = await peer.hears(wire.Fault)
    assert (fault.code, fault.field) == (ErrorCode.SIG_EXPIRED, "user_sig")
    assert "has expired meanwhile: get a new one" in fault.message
    assert await peer.is_closed() == (1008, "sig_expired")


@pytest.mark.parametrize("user_id", [BED, "nurse-1"])
async def test_whose_ticket_runs_out_is_told_so_and_is_out(desk: RunningDesk, user_id: str) -> None:
    peer = await comes(desk, user_id)
    await is_shown_the_door(peer)
    assert not desk.server.relay.is_connected(user_id)


async def test_no_call_is_broken_by_it_and_a_bed_that_has_asked_stays(desk: RunningDesk) -> None:
    bed, seat = await comes(desk, BED), await comes(desk, "nurse-1")
    await bed.asks(wire.Snapshot(bed=wire.BedInfo(group="ward")))
    await seat.asks(wire.SetSeatState(state="free"))
    call = await ringing(bed, seat)
    await seat.says(wire.Answer(call_id=call.call_id, sdp="v=0\r\n"))
    await seat.says(wire.Accept(call_id=call.call_id))
    await is_let_stay(bed, seat)
    await seat.says(wire.Hangup(call_id=call.call_id))
    await is_shown_the_door(seat)
    await is_let_stay(bed)
    await bed.says(wire.CloseRequest(request_id=help_wanted().request_id, reason=CloseReason.ATTENDED))
    await is_shown_the_door(bed)


async def test_a_bed_says_that_it_is_not_registered_until_it_is_given_a_new_ticket(desk: RunningDesk) -> None:
    tickets = [nearly_expired(desk, BED)]
    async with bedside_running(bed_settings(desk.ws_url), user_sig=lambda: tickets[-1]) as bed:
        await bed.shows("ready")
        await bed.shows("not_registered")
        tickets.append(desk.ticket(BED))
        await bed.shows("ready")
