"""Real Chromium sees the bed's picture over a path that loses 5 % and is 25 ms long each way, and it goes on."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from kiosk.bench import shown_pictures
from kiosk.bench.filming import page_of, sending
from kiosk.media.simulated_loss import SimulatedLoss
from tests.waiting import HANG_S

pytestmark = pytest.mark.browser

ENOUGH_CODES = 150
"""At 30 a second 5 s: long enough for some 40 losses, and for a picture that stands to be noticed."""


@pytest.mark.parametrize("viewers", [1, 2])
async def test_the_code_in_the_picture_goes_on(browser: Browser, loss: SimulatedLoss, viewers: int) -> None:
    loss.be_bad(share=0.0, delay_s=0.025)
    async with page_of(browser) as page, sending(page, viewers, None, None):
        begin = await shown_pictures.seen(page)
        loss.be_bad(share=0.05, delay_s=0.025)
        await shown_pictures.codes_read(page, begin, ENOUGH_CODES, HANG_S)
        for viewer in range(viewers):
            assert await shown_pictures.seen(page, viewer) > 0
        loss.let_pass()
        now = await shown_pictures.stats(page)
        assert "H264" in now["mimeType"]
        assert now["packetsLost"] > 0
