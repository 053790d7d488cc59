"""Presses counted at the buttons, requests counted at the desk: a short form of ``kiosk bench faults``."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from kiosk.bedside import bed
from kiosk.bench import faults, pressed_bed
from kiosk.bench.faults import Plan, measure
from kiosk.signaling import messages as wire

STORM = Plan(presses=60, beds=12, seed=20, pause_s=0.5, faults=True, desk_life_s=(1.0, 3.0))
"""Another seed is as good: when this fails, ``kiosk bench faults --seed`` finds more."""


async def test_without_faults_every_press_is_at_the_desk() -> None:
    outcome = await measure(Plan(presses=40, beds=10, seed=20, pause_s=0.0))
    assert outcome.wrong == ""
    assert outcome.taps == 40
    assert outcome.injected.total() == 0


@pytest.mark.promise("R02", "R24")
async def test_under_random_faults_and_killed_desks_no_press_is_lost_or_doubled() -> None:
    outcome = await measure(STORM)
    assert outcome.wrong == ""
    assert outcome.taps == STORM.presses
    assert outcome.tally.seen == len(outcome.tally.asked)
    assert outcome.injected["desk kill"] > 0
    assert outcome.injected.total() > STORM.beds


async def test_a_bed_that_does_not_tell_its_request_again_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bed.Bed.snapshot

    def forgetful(self: bed.Bed, *, now: float) -> wire.Snapshot:
        return msgspec.structs.replace(whole(self, now=now), request=None)

    monkeypatch.setattr(bed.Bed, "snapshot", forgetful)
    monkeypatch.setattr(faults, "BED_RESTARTS", 0.0)
    monkeypatch.setattr(pressed_bed, "PATIENCE_S", 3.0)
    outcome = await measure(replace(STORM, presses=40))
    assert outcome.tally.lost
