"""Lines on standard input make simulated faults, and one that is wrong is told in words."""

from __future__ import annotations

import io

import pytest

from kiosk.bedside.devices import choose_devices
from kiosk.bedside.hand import follow_hand
from kiosk.hardware.pins import simulated_pins
from kiosk.media.simulated_loss import SimulatedLoss
from tests.bedsides import bed_settings
from tests.waiting import until


def follow(lines: str, monkeypatch: pytest.MonkeyPatch) -> SimulatedLoss:
    loss = SimulatedLoss()
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    settings = bed_settings()
    pins = simulated_pins()
    with follow_hand(settings, choose_devices(settings, factory=pins), pins, loss):
        return loss


@pytest.mark.parametrize(
    ("line", "lost"),
    [("media stall", (True, True)), ("media stall-in 60", (True, False)), ("media stall-out", (False, True))],
)
async def test_media_are_stalled_in_one_direction_or_both(
    line: str, lost: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = follow(f"{line}\n", monkeypatch)
    await until(lambda: (loss.loses("in"), loss.loses("out")) == lost, line)


async def test_media_pass_again_when_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loss = follow("media stall\nmedia pass\nover\n", monkeypatch)
    await until(lambda: "no button 'over'" in caplog.text)
    assert (loss.loses("in"), loss.loses("out")) == (False, False)


async def test_a_part_of_the_datagrams_is_lost(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loss = follow("media lose 0.25\nover\n", monkeypatch)
    await until(lambda: "no button 'over'" in caplog.text)
    assert 150 < sum(loss.loses("in") for _ in range(1000)) < 350
    assert 150 < sum(loss.loses("out") for _ in range(1000)) < 350


async def test_those_that_are_not_lost_are_late_when_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loss = follow("media lose 0.25 0.025\nover\n", monkeypatch)
    await until(lambda: "no button 'over'" in caplog.text)
    assert loss.delay_s("in") == loss.delay_s("out") == 0.025
    loss.let_pass()
    assert loss.delay_s("out") == 0.0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("media", "cannot media '': use stall, stall-in, stall-out, lose or pass"),
        ("media vanish 3", "cannot media 'vanish'"),
        ("media stall soon", "'soon' is not a number"),
        ("media lose 0.05 late", "'0.05 late' is not a number"),
    ],
)
async def test_a_wrong_line_is_told_and_stalls_nothing(
    line: str, words: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loss = follow(f"{line}\n", monkeypatch)
    await until(lambda: words in caplog.text, words)
    assert (loss.loses("in"), loss.loses("out")) == (False, False)
