"""What the log says of a talk's connections: a change at either end of each call, and nothing else."""

from __future__ import annotations

import logging

import pytest

from kiosk.bedside.call_quality import KEPT, End, QualityLog
from kiosk.signaling.messages import Quality, QualityLevel


def quality(call_id: str, level: QualityLevel) -> Quality:
    return Quality(call_id=call_id, quality=level)


def test_each_end_of_each_call_is_logged_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[End, str]] = []
    log = QualityLog(lambda end, quality: told.append((end, quality.call_id)))
    ends: tuple[End, End] = ("bed", "seat")
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            for call_id in ("one", "two", "three", "four"):
                for end in ends:
                    log.note(end, quality(call_id, QualityLevel.GOOD))
        assert len(caplog.messages) == KEPT, "once each, though they take turns"
        log.note("seat", quality("two", QualityLevel.BAD))
    assert len(told) == 3 * KEPT + 1
    assert len(caplog.messages) == KEPT + 1
    assert "call two: at the seat the connection is bad" in caplog.messages[-1]


def test_the_calls_of_a_year_are_not_kept() -> None:
    log = QualityLog(lambda end, quality: None)
    for number in range(100):
        log.note("bed", quality(f"call {number}", QualityLevel.GOOD))
    assert len(log._logged) == KEPT
