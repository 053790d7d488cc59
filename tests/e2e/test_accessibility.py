"""What a screen reader, a keyboard and weak eyes need of the seat page, asserted state by state."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.conftest import Hospital, Seat, SignIn
from tests.e2e.wire_bed import WireBed

pytestmark = [pytest.mark.browser, pytest.mark.alsa]

NAMELESS = re.compile(r'- (button|textbox|slider|dialog|region|group|heading)(?! "|: \w)')
MIN_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, for text of the usual size."""
MIN_TARGET_PX = 24
"""WCAG 2.2, 2.5.8."""

FAINT = """(least) => {
  const parts = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => [r, g, b]
    .map((value) => value / 255)
    .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parts(getComputedStyle(at).backgroundColor);
      if (color[3] !== 0) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  let seen = 0;
  for (const element of document.body.querySelectorAll('*')) {
    const written = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!written || !element.checkVisibility() || element.disabled) continue;
    seen++;
    const pair = [parts(getComputedStyle(element).color), behind(element)].map(luminance);
    const [light, dark] = pair.sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < least) faint.push(`${element.textContent.trim()}: ${ratio.toFixed(2)}`);
  }
  return [seen, faint];
}"""
SMALL = """(least) => [...document.querySelectorAll('button, input, summary')]
  .filter((element) => element.checkVisibility() && element.type !== 'range')
  .filter((element) => Math.min(element.offsetWidth, element.offsetHeight) < least)
  .map((element) => element.id || element.textContent)"""


async def states(hospital: Hospital, sign_in: SignIn, **context: Any) -> AsyncIterator[tuple[str, Seat]]:
    """Lead a page through its states; yields the name of each while it stands in it."""
    await hospital.opens()
    assert hospital.desk is not None
    seat: Seat = await sign_in(**context)
    yield "free", seat
    await seat.by("rest").click()
    await seat.is_("rest")
    async with WireBed(hospital.ward, hospital.desk.url, room="302", priority=2, phase="answered", spoken=True):
        await seat.request_is("answered")
        yield "a board", seat
    await seat.by("ready").click()
    hospital.bed.press()
    await seat.rings()
    yield "ringing", seat
    await seat.answers()
    await seat.page.keyboard.press("m")
    yield "in a call", seat
    colleague: Seat = await sign_in("nurse-2", **context)
    await seat.by("find-seats").click()
    await seat.says("found-seat", "Nurse-2")
    yield "looking for a colleague", seat
    await seat.by("ask-to-join").click()
    await colleague.rings()
    yield "asked to join", colleague
    await colleague.answers()
    await seat.says("member", "Nurse-2")
    yield "with a colleague", seat
    await seat.by("switch-to-audio").click()
    yield "in an audio call", seat
    await seat.by("hang-up").click()
    await seat.page.get_by_role("button", name=re.compile("Sign out|退出登录")).click()
    yield "signing in", seat


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-GB"), ("dark", "zh-CN")])
async def test_every_state_can_be_read_and_hit_by_weak_eyes_and_hands(
    hospital: Hospital, sign_in: SignIn, scheme: str, locale: str
) -> None:
    # 640 px at twice the density is a laptop's window at 200 % zoom.
    zoomed = {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2}
    async for state, seat in states(hospital, sign_in, color_scheme=scheme, locale=locale, **zoomed):
        seen, faint = await seat.page.evaluate(FAINT, MIN_CONTRAST)
        assert seen > 5, state
        assert faint == [], state
        assert await seat.page.evaluate(SMALL, MIN_TARGET_PX) == [], state
        assert await seat.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state


async def test_every_control_and_region_of_every_state_has_a_name(hospital: Hospital, sign_in: SignIn) -> None:
    async for state, seat in states(hospital, sign_in):
        snapshot = await seat.page.locator("body").aria_snapshot()
        assert snapshot.count("button") >= 2, state
        assert NAMELESS.findall(snapshot) == [], f"{state}: {snapshot}"
        if state == "ringing":
            dialog = seat.page.get_by_role("dialog", name="Call from Ward 3 · 301 · 2")
            described = (await dialog.get_attribute("aria-describedby") or "").split()
            texts = [await seat.page.locator(f"#{part}").inner_text() for part in described]
            assert re.fullmatch(r"normal waiting 00:\d\d Video call", " ".join(texts))
            assert await dialog.locator("[role=alert], [role=status]").count() == 0, "it would be spoken twice"


SPOKEN = """() => {
  window.spoken = [];
  for (const region of document.querySelectorAll('[role=status]')) {
    new MutationObserver(() => window.spoken.push(region.textContent.trim()))
      .observe(region, { childList: true, characterData: true, subtree: true });
  }
}"""


async def test_nothing_is_spoken_twice_in_a_call_from_ring_to_end(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    await seat.page.evaluate(SPOKEN)
    hospital.bed.press()
    await seat.answers()
    await hospital.bed.shows("talking")
    hospital.bed.press("cancel tap")
    await seat.request_is("answered")
    spoken = [words for words in await seat.page.evaluate("spoken") if words]
    assert "In a call" in spoken
    assert len(spoken) == len(set(spoken)), spoken


async def test_nothing_is_spoken_twice_when_a_colleague_joins_and_leaves(
    hospital: Hospital, sign_in: SignIn
) -> None:
    await hospital.opens()
    seat, colleague = await sign_in(), await sign_in("nurse-2")
    hospital.bed.press()
    await seat.answers()
    await seat.page.evaluate(SPOKEN)
    await seat.by("find-seats").click()
    await seat.by("ask-to-join").click()
    await colleague.answers()
    await seat.says("status", "Nurse-2 has joined the talk.")
    await colleague.by("hang-up").click()
    await seat.says("status", "Nurse-2 has left the talk.")
    spoken = [words for words in await seat.page.evaluate("spoken") if words]
    assert "Nurse-2 is being asked to join." in spoken
    assert len(spoken) == len(set(spoken)), spoken
