"""Calls between a real bed process and real Chromium at the seat page, and the moments that both trace of each.

Used by ``kiosk bench call`` and ``media``. Times of different processes are compared by the machine's clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from playwright.async_api import Browser, Page

from kiosk.bench.chromium import page_says
from kiosk.demo.ward import BedProcess, Ward
from kiosk.errors import KioskError

WAIT_S = 30.0
LOOK_AGAIN_S = 0.01
TALK_S = 0.5
ACCEPT = "seat accept_clicked"

ANSWER_LATE = """
const answer = RTCPeerConnection.prototype.createAnswer, send = WebSocket.prototype.send;
let accepted = null;
WebSocket.prototype.send = function (text) {
  send.call(this, text);
  if (JSON.parse(text).type === "accept") accepted?.();
};
RTCPeerConnection.prototype.createAnswer = async function () {
  if (window.answersLate) await new Promise((done) => { accepted = done; });
  return answer.call(this);
};
"""
"""In the page, while ``answersLate``: it makes its answer only when the person accepts, as most write it first."""

Moments = list[tuple[str, float]]


async def signed_in(ward: Ward, desk_url: str, browser: Browser) -> Page:
    """A seat page that traces, ready for calls."""
    context = await browser.new_context()
    await context.add_init_script(ANSWER_LATE)
    page = await context.new_page()
    await page.goto(ward.seat_link(desk_url, "nurse-1").replace("#", "?trace#"))
    await page.wait_for_selector("#my-state[data-state=free]")
    return page


async def ready(bed: BedProcess) -> None:
    """Wait until *bed*, which was just started, can be pressed."""
    await until("the bed is ready", lambda: "shows ready" in names(bed))


async def one_call(bed: BedProcess, page: Page, *, late: bool = False) -> Moments:
    """A press, an accept as soon as the media are connected, half a second of talk, hang-up, attendance.

    *late*: the seat makes its answer only with the accept, so that the accept comes before they are connected.
    """
    await page.evaluate(f"window.answersLate = {'true' if late else 'false'}")
    seen = await press(bed, page)
    if not late:
        await page_says(page, _noted("pc_connected"), WAIT_S)
    await page.click("#accept")
    for moment in ("first_video_frame", "first_audio"):
        await page_says(page, _noted(moment), WAIT_S)
    await until("the bed hears the seat", lambda: "first_audio" in names(bed, seen))
    await asyncio.sleep(TALK_S)
    await page.click("#hang-up")
    await until("the bed shows that the call is over", lambda: "shows answered" in names(bed, seen))
    bed.hand("attend tap")
    return await _moments(bed, page, seen)


async def one_cancel(bed: BedProcess, page: Page) -> Moments:
    """A press, and as soon as the seat rings the patient takes it back."""
    seen = await press(bed, page)
    bed.hand("cancel hold")
    await page_says(page, _noted("call_ended"), WAIT_S)
    return await _moments(bed, page, seen)


async def press(bed: BedProcess, page: Page) -> int:
    """Press, and wait until the seat rings; returns how many moments *bed* had traced before."""
    seen = len(bed.moments())
    await page.evaluate("kioskTrace.length = 0")
    bed.hand("call tap")
    await page.wait_for_selector("#incoming[open]", timeout=WAIT_S * 1000)
    return seen


async def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait until it *holds*. Raises :exc:`KioskError`."""
    end = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > end:
            raise KioskError(f"bench: not within {WAIT_S:.0f} s: {what}")
        await asyncio.sleep(LOOK_AGAIN_S)


def names(bed: BedProcess, since: int = 0) -> set[str]:
    """Of the moments that *bed* has traced, but for the first *since*."""
    return {moment.event for moment in bed.moments()[since:]}


def spans(calls: Sequence[Moments], begin: str, end: str) -> list[float]:
    """Milliseconds from the first *begin* to the first *end* of each call that has both."""
    firsts = [dict(reversed(call)) for call in calls]
    return [(first[end] - first[begin]) * 1000 for first in firsts if begin in first and end in first]


async def _moments(bed: BedProcess, page: Page, seen: int) -> Moments:
    await until("the bed is ready again", lambda: "shows ready" in names(bed, seen))
    await page.wait_for_selector("#my-state[data-state=free]")
    moments = [(moment.event, moment.at) for moment in bed.moments()[seen:]]
    trace: list[dict[str, Any]] = await page.evaluate("kioskTrace")
    moments += [(f"seat {moment['event']}", moment["at"] / 1000) for moment in trace]
    return sorted(moments, key=lambda moment: moment[1])


def _noted(event: str) -> str:
    return f"kioskTrace.some((moment) => moment.event === '{event}')"
