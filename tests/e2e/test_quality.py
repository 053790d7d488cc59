"""How good the connection is, in a real call: at both ends, in words and figures, and what the page makes of it."""

from __future__ import annotations

import json
import random
import re
from dataclasses import asdict
from itertools import accumulate
from typing import Any

import pytest
from playwright.async_api import expect

from kiosk.media.quality import LIMITS, Sample, Standing, judge
from tests.e2e.conftest import Hospital, Seat, SignIn
from tests.waiting import HANG_S, until

pytestmark = [pytest.mark.browser, pytest.mark.alsa]

JUDGE = """async (samples) => {
  const { judge } = await import(new URL('page/quality.js', location.origin).href);
  let standing = { level: 0, sample: {}, run: 0 };
  return samples.map((sample) => (standing = judge(standing, sample)).level);
}"""


async def talk(hospital: Hospital, sign_in: SignIn, **context: Any) -> Seat:
    await hospital.opens()
    seat: Seat = await sign_in(**context)
    hospital.bed.press()
    await seat.answers()
    await hospital.bed.shows("talking")
    return seat


def bed_log(hospital: Hospital) -> str:
    return (hospital.ward.folder / "bed.log").read_text()


async def test_both_ends_figures_stand_on_the_page_and_both_words_in_the_beds_log(
    hospital: Hospital, sign_in: SignIn
) -> None:
    seat = await talk(hospital, sign_in)
    await seat.says("quality-words", re.compile(r"Connection: (excellent|good|poor|bad)"))
    await seat.by("quality-more").click()
    figures = seat.by("quality-figures").locator("tr")
    for row, what in ((1, r"\d+\.\d %"), (2, r"\d+ ms"), (4, r"[1-9]\d* kb/s"), (5, r"[1-9]\d*")):
        for column in (0, 1):
            cell = figures.nth(row).locator("td").nth(column)
            await expect(cell).to_have_text(re.compile(what), timeout=HANG_S * 1000)
    for end in ("bed", "seat"):
        said = f"at the {end} the connection is "
        await until(lambda said=said: said in bed_log(hospital), f"the bed's log says {said!r}")  # type: ignore[misc]


async def test_a_lossy_network_is_told_by_words_and_its_end_too(hospital: Hospital, sign_in: SignIn) -> None:
    seat = await talk(hospital, sign_in)
    await seat.says("quality-words", "Connection: ")
    hospital.bed.press("media lose 0.15")
    await expect(seat.by("quality")).to_have_attribute("data-level", re.compile("[45]"), timeout=HANG_S * 1000)
    await seat.says("quality-warning", "The connection is bad")
    await until(lambda: bool(re.search(r"at the bed the connection is (very )?bad", bed_log(hospital))), "the log")
    hospital.bed.press("media pass")
    await expect(seat.by("quality")).to_have_attribute("data-level", re.compile("[123]"), timeout=HANG_S * 1000)
    await expect(seat.by("quality-warning")).to_be_empty()


async def test_after_the_talk_nothing_is_left_of_it(hospital: Hospital, sign_in: SignIn) -> None:
    seat = await talk(hospital, sign_in)
    await seat.says("quality-words", "Connection: ")
    await seat.by("hang-up").click()
    await expect(seat.by("quality")).to_be_hidden()
    await expect(seat.by("quality-warning")).to_be_empty()


async def test_the_page_judges_as_the_bed_does(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    chance = random.Random(7)
    samples: list[Sample] = [Sample()]
    for _ in range(400):
        figures = {
            name: chance.choice([None, 0.0, limits[0], *(limit * chance.uniform(0.7, 1.1) for limit in limits)])
            for name, limits in LIMITS.items()
            if chance.random() < 0.3
        }
        again = chance.choice([1, 1, 2, 6])
        samples += [Sample(**figures, stalled=chance.random() < 0.03)] * again
    expected = [standing.level for standing in accumulate(samples, judge, initial=Standing())][1:]
    assert len(set(expected)) == 7
    told = json.loads(json.dumps([asdict(sample) for sample in samples]))
    assert await seat.page.evaluate(JUDGE, told) == expected
