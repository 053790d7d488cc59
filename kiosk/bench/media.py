"""``kiosk bench media``: every figure that media have a budget for, each beside plain aiortc in the same run.

Echo (:mod:`kiosk.bench.echo`), voices (:mod:`kiosk.bench.voice`), pictures and what they cost
(:mod:`kiosk.bench.video`), and the accept (:mod:`kiosk.bench.accepts`). Real Chromium is the seat; losses are made
in the bed's process. Not in here are four seats (``kiosk bench group``) and whether anything grows (``leaks``).

``quick`` is under a minute: voices and pictures over the link that has most budgets (5 % and 25 ms), one viewer's
cost, two calls of each kind over the long link, no echo.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser

from kiosk.bench import echo, video, voice
from kiosk.bench.accepts import Scene
from kiosk.bench.chromium import chromium
from kiosk.bench.figures import HEADLINE
from kiosk.bench.links import CLEAN, FIVE, OUTAGE, Link, lossy
from kiosk.bench.loopback_ward import started_bed, ward_with_desk
from kiosk.bench.traced_calls import one_call, ready, signed_in
from kiosk.errors import BudgetMissed
from kiosk.media.heap import leave_out_what_is_there
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.simulated_loss import SimulatedLoss


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    voice_links: Sequence[Link]
    voice_s: float
    video_links: Sequence[Link]
    video_kinds: Sequence[str]
    video_s: float
    costs: Sequence[str]
    cost_s: float
    calls: int
    near_and_echo: bool


WHOLE = Extent(
    voice_links=voice.LINKS,
    voice_s=voice.SECONDS,
    video_links=(CLEAN, lossy(1), FIVE, lossy(10), OUTAGE),
    video_kinds=tuple(video.KINDS),
    video_s=video.SECONDS,
    costs=video.ALL_COSTS,
    cost_s=video.CPU_S,
    calls=10,
    near_and_echo=True,
)
QUICK = Extent(
    voice_links=(FIVE,),
    voice_s=6.0,
    video_links=(FIVE,),
    video_kinds=(video.OURS, video.AIORTC),
    video_s=4.0,
    costs=(video.PASSED, video.AIORTCS),
    cost_s=1.5,
    calls=2,
    near_and_echo=False,
)


async def run(*, quick: bool) -> int:
    """Measure, print, and raise :exc:`BudgetMissed` if a budget is missed."""
    logging.getLogger("kiosk").setLevel(logging.ERROR)
    extent = QUICK if quick else WHOLE
    loss = SimulatedLoss()
    prepare_media([LOOPBACK])
    loss.install()
    missed = await asyncio.to_thread(_echo) if extent.near_and_echo else []
    leave_out_what_is_there()  # as a bed does
    with tempfile.TemporaryDirectory(prefix="kiosk-bench-") as folder:
        async with (
            ward_with_desk(Path(folder) / "ward") as (ward, desk),
            started_bed(ward) as bed,
            chromium(Path(folder)) as browser,
        ):
            missed += await _voices(browser, loss, extent)
            missed += await _pictures(browser, loss, extent)
            missed += await _costs(browser, extent)
            page = await signed_in(ward, desk.url, browser)
            await ready(bed)
            await one_call(bed, page)  # a browser's first is slower
            scene = Scene(bed, page, browser, f"{desk.url}healthz", ward.settings.video, loss)
            missed += await _accepts(scene, extent)
    print(
        "not in here: what is left after 200 calls or grows in a long one (kiosk bench leaks), four seats (group)"
    )
    if missed:
        raise BudgetMissed(f"bench media: {len(missed)} missed: {'; '.join(missed)}")
    print(
        f"bench media: voices over {len(extent.voice_links)} links, pictures over {len(extent.video_links)},"
        f" every budget kept"
    )
    return 0


async def _voices(browser: Browser, loss: SimulatedLoss, extent: Extent) -> list[str]:
    told = await voice.measure(browser, loss, links=extent.voice_links, seconds=extent.voice_s)
    _say(voice.rows(told))
    return voice.missed(told)


async def _pictures(browser: Browser, loss: SimulatedLoss, extent: Extent) -> list[str]:
    told = await video.losses(
        browser, loss, links=extent.video_links, seconds=extent.video_s, kinds=extent.video_kinds
    )
    _say(video.rows(told))
    return video.missed(told)


async def _costs(browser: Browser, extent: Extent) -> list[str]:
    spent = await video.costs(browser, seconds=extent.cost_s, names=extent.costs)
    _say(video.cost_rows(spent))
    return video.dear(spent)


async def _accepts(scene: Scene, extent: Extent) -> list[str]:
    told = [await scene.near(extent.calls)] if extent.near_and_echo else []
    told.append(await scene.far(extent.calls))
    figures = [figure for one in told for figure in one.figures()]
    _say([HEADLINE, *(figure.row() for figure in figures), *(row for one in told for row in one.rows())])
    return [figure.name for figure in figures if figure.missed] + [
        words for one in told for words in one.too_little_gained()
    ]


def _echo() -> list[str]:
    try:
        echo.run(quick=False)
    except BudgetMissed as error:
        return [str(error)]
    finally:
        print()
    return []


def _say(rows: Sequence[str]) -> None:
    print("\n".join([*rows, ""]), flush=True)
