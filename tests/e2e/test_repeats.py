"""How long the seat page waits with pictures for the repeats of lost packets: its rules, in a real browser."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from playwright.async_api import Browser

from kiosk.bench.shown_pictures import REPEATS

pytestmark = pytest.mark.browser

STEPS = """async ([text, looks]) => {
  const { BEGIN, soundHoldMs, step } = await import('data:text/javascript,' + encodeURIComponent(text));
  let state = BEGIN;
  return looks.map((look) => {
    state = step(state, look);
    return [state.holdMs, soundHoldMs(state)];
  });
}"""
A_LOOK = 150
"""Packets in it, of pictures at 1.5 Mb/s."""
MANY = 40
"""Looks: more than it takes to fall from the most that is ever waited to nothing."""

Look = dict[str, Any]


def look(lost: float, *, rtt_ms: float | None = 50) -> Look:
    """A second in which the share *lost* of the packets was."""
    missing = round(A_LOOK * lost)
    return {"received": A_LOOK - missing, "lost": missing, "rttMs": rtt_ms}


CLEAN, LOSSY = look(0), look(0.05)


async def held(browser: Browser, looks: list[Look]) -> list[tuple[float, float]]:
    """After each of *looks*: how many milliseconds pictures and sound are held back."""
    page = await browser.new_page()
    told = await page.evaluate(STEPS, [REPEATS.read_text(encoding="utf-8"), looks])
    return [(pictures, sound) for pictures, sound in told]


@pytest.mark.parametrize("looks", [[CLEAN], [look(0.013)], [CLEAN, CLEAN, LOSSY, CLEAN, CLEAN]])
async def test_a_path_that_loses_next_to_nothing_is_not_waited_for(browser: Browser, looks: list[Look]) -> None:
    assert set(await held(browser, looks * MANY)) == {(0, 0)}


async def test_a_second_repeat_is_waited_for_while_packets_are_lost(browser: Browser) -> None:
    assert (await held(browser, [CLEAN, *[LOSSY] * MANY]))[2:] == [(120, 30)] * (MANY - 1)


async def test_it_falls_by_and_by_when_nothing_is_lost_any_more(browser: Browser) -> None:
    told = await held(browser, [LOSSY] * 3 + [CLEAN] * MANY)
    pictures = [hold for hold, _ in told[2:]]
    falls = {before - after for before, after in itertools.pairwise(pictures)}
    assert falls == {0, 10}
    assert told[-1] == (0, 0)


@pytest.mark.parametrize(("rtt_ms", "hold"), [(4, 28), (100, 220), (None, 220), (700, 250)])
async def test_a_longer_path_is_waited_for_longer_up_to_a_bound(
    browser: Browser, rtt_ms: float | None, hold: float
) -> None:
    pictures, sound = (await held(browser, [look(0.1, rtt_ms=rtt_ms)] * 3))[-1]
    assert pictures == hold
    assert 0 <= pictures - sound <= 90


async def test_sound_is_not_held_back_for_pictures_that_do_not_come_any_more(browser: Browser) -> None:
    nothing = {"received": 0, "lost": 0, "rttMs": 50}
    assert (await held(browser, [LOSSY, LOSSY, *[nothing] * MANY]))[-1] == (0, 0)


async def test_packets_that_were_only_late_make_up_for_none_that_are_lost(browser: Browser) -> None:
    late = {"received": A_LOOK, "lost": -100, "rttMs": 50}
    assert (await held(browser, [late, LOSSY, LOSSY]))[-1] == (120, 30)
