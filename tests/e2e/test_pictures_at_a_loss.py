"""Real Chromium sees the bed's picture over a path that loses 5 % and is 25 ms long each way, and it goes on."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from kiosk.bench import shown_pictures
from kiosk.bench.filming import page_of, sending
from kiosk.hardware.camera_picamera2 import Picamera2Camera
from kiosk.hardware.simulated_h264 import Board
from kiosk.hardware.simulated_picamera2 import SimulatedLibrary
from kiosk.media.simulated_loss import SimulatedLoss
from tests.waiting import HANG_S

pytestmark = pytest.mark.browser

ENOUGH_CODES = 150
"""At 30 a second 5 s: long enough for some 40 losses, and for a picture that stands to be noticed."""


@pytest.mark.parametrize("viewers", [1, 2])
async def test_the_code_in_the_picture_goes_on(browser: Browser, loss: SimulatedLoss, viewers: int) -> None:
    loss.be_bad(share=0.0, delay_s=0.025)
    async with page_of(browser) as page, sending(page, viewers, None):
        begin = await shown_pictures.seen(page)
        loss.be_bad(share=0.05, delay_s=0.025)
        await shown_pictures.codes_read(page, begin, ENOUGH_CODES, HANG_S)
        for viewer in range(viewers):
            assert await shown_pictures.seen(page, viewer) > 0
        loss.let_pass()
        now = await shown_pictures.stats(page)
        assert "H264" in now["mimeType"]
        assert now["packetsLost"] > 0


async def test_chromium_shows_what_the_cameras_own_encoder_makes(browser: Browser, loss: SimulatedLoss) -> None:
    board = Board()
    camera = Picamera2Camera(width=640, height=384, fps=30, library=SimulatedLibrary(board))
    camera.try_encoder()
    loss.be_bad(share=0.0, delay_s=0.025)
    async with page_of(browser) as page, sending(page, 1, None, camera):
        begin = await shown_pictures.seen(page)
        loss.be_bad(share=0.05, delay_s=0.025)
        await shown_pictures.codes_read(page, begin, ENOUGH_CODES, HANG_S)
        assert "H264" in (await shown_pictures.stats(page))["mimeType"]
        assert board.encoders == 1
        assert board.copied == 0, "it was the hardware's"
