"""A call that can go through a TURN server only: real coturn, real bed, real Chromium."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page

from kiosk import settings
from kiosk.media.interfaces import LOOPBACK
from tests.e2e.conftest import Hospital, Seat, SignIn, ward_settings
from tests.turn import TurnServer, Way

pytestmark = [pytest.mark.browser, pytest.mark.alsa]

RELAY_ONLY = """
const Real = RTCPeerConnection;
window.RTCPeerConnection = class extends Real {
  constructor(configuration) { super({ ...configuration, iceTransportPolicy: "relay" }); window.lastPc = this; }
};
"""
"""In the page, before its own scripts: no path but through TURN."""

PATH = """async () => {
  const stats = await lastPc.getStats();
  const all = [...stats.values()];
  const transport = all.find((one) => one.type === "transport");
  const pair = stats.get(transport.selectedCandidatePairId);
  const local = stats.get(pair.localCandidateId);
  return [local.candidateType, local.relayProtocol, stats.get(pair.remoteCandidateId).candidateType];
}"""
"""In the page: what the chosen path is."""


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[TurnServer]:
    with TurnServer(tmp_path / "turn") as server:
        yield server


@pytest.mark.promise("R20")
@pytest.mark.parametrize("browser", [{"trusts_anybody": True}], indirect=True)
@pytest.mark.parametrize("way", ["udp", "tcp", "tls"])
async def test_both_see_and_hear_each_other_through_turn_only(
    hospital: Hospital, sign_in: SignIn, turn: TurnServer, way: Way
) -> None:
    await hospital.opens(
        ward_settings(
            desk={"ice_servers": (turn.url(way),), "turn_secret_file": str(turn.secret_file)},
            media=settings.Media(interfaces=(LOOPBACK,), relay_only=True),
            signaling=settings.Signaling(user_id="bed-301-2", ca_file=str(turn.ca_file)),
        )
    )
    seat: Seat = await sign_in(before=RELAY_ONLY)
    hospital.bed.press()
    await seat.answers()
    await hospital.bed.shows("talking")
    await asyncio.gather(seat.sees_the_bed(), seat.hears_the_bed(), hospital.bed_hears_the_seat())
    assert await path(seat.page) == ["relay", way, "relay"]
    assert_no_secret_is_logged(hospital)


async def path(page: Page) -> list[str]:
    """Type and TURN transport of the seat's end, and the type of the bed's."""
    found: list[str] = await page.evaluate(PATH)
    return found


def assert_no_secret_is_logged(hospital: Hospital) -> None:
    for name in ("bed.log", "desk.log"):
        words = (hospital.ward.folder / name).read_text()
        assert "credential" not in words
        assert ":bed-301-2" not in words, "a TURN username is logged"
