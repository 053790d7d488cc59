"""Presses counted at the pins, requests counted at the desk: a short form of ``kiosk bench faults``."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from kiosk.bedside import bed
from kiosk.bedside.journal import Kept
from kiosk.bedside.journal_file import JournalFile
from kiosk.bench import faults, pressed_bed
from kiosk.bench.faults import Plan, measure
from kiosk.bench.killed_bed import live
from kiosk.signaling import messages as wire

STORM = Plan(presses=60, beds=12, seed=20, pause_s=0.5, faults=True, desk_life_s=(1.0, 3.0), bed_life_s=4.0)
"""Another seed is as good: when this fails, ``kiosk bench faults --seed`` finds more."""


async def test_without_faults_every_press_is_at_the_desk() -> None:
    outcome = await measure(Plan(presses=40, beds=10, seed=20, pause_s=0.0))
    assert outcome.wrong == ""
    assert outcome.taps == 40
    assert outcome.injected.total() == 0


@pytest.mark.promise("R01", "R02", "R24")
async def test_with_beds_and_desks_killed_at_random_no_press_is_lost_or_doubled() -> None:
    outcome = await measure(STORM)
    assert outcome.wrong == ""
    assert outcome.at_the_pin == outcome.on_disk == outcome.tally.presses >= STORM.presses
    assert outcome.tally.seen == len(outcome.tally.asked)
    assert outcome.injected["desk kill"] > 0
    assert outcome.injected["bed kill"] > 0
    assert outcome.injected.total() > STORM.beds


def forgetful(folder: Path, bench: socket.socket) -> None:
    """A bed that does not tell its request again after a reconnect."""
    whole = bed.Bed.snapshot

    def snapshot(self: bed.Bed, *, now: float) -> wire.Snapshot:
        return msgspec.structs.replace(whole(self, now=now), request=None)

    bed.Bed.snapshot = snapshot  # type: ignore[method-assign]
    live(folder, bench)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something is lost, nobody waits long for it."""
    monkeypatch.setattr(pressed_bed, "LOST_AFTER_S", 2.0)
    monkeypatch.setattr(faults, "STEADY_WITHIN_S", 10.0)


@pytest.mark.usefixtures("impatient")
async def test_a_bed_that_does_not_tell_its_request_again_is_found_out() -> None:
    outcome = await measure(replace(STORM, presses=40, living=forgetful))
    assert outcome.tally.lost


def hasty(folder: Path, bench: socket.socket) -> None:
    """A bed that says that the press is on the disk, and does not put it there."""

    def write(self: JournalFile, kept: Kept) -> None:
        return

    JournalFile.write = write  # type: ignore[method-assign]
    live(folder, bench)


@pytest.mark.usefixtures("impatient")
async def test_a_bed_that_keeps_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(faults.STRIKES, "at the desk", (1.0, 0.0))
    outcome = await measure(replace(STORM, presses=20, living=hasty))
    assert "were on the disk and are not" in outcome.wrong
