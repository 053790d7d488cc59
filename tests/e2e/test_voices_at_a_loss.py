"""Two voices in one call with real Chromium, over a path that loses 5 %, 25 ms long each way: both are heard."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from kiosk.bench import voice
from kiosk.bench.links import FIVE
from kiosk.bench.voice import AIORTC, OURS, TO_BED, TO_SEAT
from kiosk.media.simulated_loss import SimulatedLoss

pytestmark = pytest.mark.browser

SECONDS = 6.0


async def test_what_was_said_is_what_is_heard_at_both_ends(browser: Browser, loss: SimulatedLoss) -> None:
    told = await voice.measure(browser, loss, links=[FIVE], seconds=SECONDS)
    assert set(told) == {(FIVE, way, whose) for way in (TO_SEAT, TO_BED) for whose in (OURS, AIORTC)}
    for direction in (TO_SEAT, TO_BED):
        heard = told[FIVE, direction, OURS]
        assert heard.delays, "the same speech is found in what was heard"
        assert min(heard.delays) > 0
        assert heard.made_up, "something was lost, and something made up for it"
        assert heard.scores.stoi > 0
    assert told[FIVE, TO_BED, OURS].added
    assert not told[FIVE, TO_BED, AIORTC].added, "only our playout tells what it adds"
