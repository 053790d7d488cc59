"""A camera's picture is one, or it is said what is wrong with it."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.check.findings import Finding, Verdict
from kiosk.check.picture import Luma, Seen, judge

HEIGHT, WIDTH = 90, 160


def scene(*, middle: float = 120.0, spread: float = 40.0, seed: int = 1) -> Luma:
    """A room: something bright, something dark, and the noise of a sensor."""
    chance = np.random.default_rng(seed)
    ramp = np.linspace(middle - spread, middle + spread, WIDTH)[None, :]
    return np.clip(ramp + chance.normal(0, 2, (HEIGHT, WIDTH)), 0, 255).astype(np.uint8)


def sensor(level: float, *, noise: float = 1.0, seed: int = 1) -> Luma:
    """Nothing but one level, with a sensor's noise."""
    chance = np.random.default_rng(seed)
    return np.clip(level + chance.normal(0, noise, (HEIGHT, WIDTH)), 0, 255).astype(np.uint8)


def judged(last: Luma | None, earlier: Luma | None = None) -> Finding:
    return judge(Seen(pictures=0 if last is None else 30, last=last, earlier=earlier))


def test_a_room_is_a_picture() -> None:
    finding = judged(scene(seed=2), scene(seed=1))
    assert (finding.verdict, finding.code) == (Verdict.OK, "camera_ok")
    assert finding.figures["width"] == WIDTH
    assert finding.figures["height"] == HEIGHT
    assert 40 <= float(finding.figures["brightness"]) <= 60


def with_led(picture: Luma) -> Luma:
    """Something small that shines: 2 % of it."""
    lit = picture.copy()
    lit[: HEIGHT // 10, : WIDTH // 5] = 235
    return lit


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (sensor(16, noise=4.0), "camera_black"),
        (with_led(sensor(16, noise=4.0)), "camera_black"),
        (sensor(240, noise=4.0), "camera_white"),
        (sensor(120), "camera_blank"),
        (None, "camera_no_picture"),
    ],
)
def test_what_is_none_is_a_fault(last: Luma | None, code: str) -> None:
    finding = judged(last)
    assert (finding.verdict, finding.code) == (Verdict.FAULT, code)


def test_a_dim_room_is_told_but_is_no_fault() -> None:
    finding = judged(scene(middle=40, spread=20, seed=2), scene(middle=40, spread=20, seed=1))
    assert (finding.verdict, finding.code) == (Verdict.WARNING, "camera_dim")


def test_a_picture_that_repeats_itself_to_the_last_bit_is_frozen() -> None:
    finding = judged(scene(), scene())
    assert (finding.verdict, finding.code) == (Verdict.FAULT, "camera_frozen")


def test_a_single_picture_is_not_called_frozen() -> None:
    assert judged(scene()).code == "camera_ok"


def test_what_the_device_says_goes_first() -> None:
    finding = judge(Seen(pictures=3, last=scene(), fault="camera /dev/video0 stopped: no such device"))
    assert (finding.verdict, finding.code) == (Verdict.FAULT, "device_fault")
    assert "no such device" in str(finding.figures["why"])
