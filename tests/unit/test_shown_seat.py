"""One face, that stays: which seat of a talk the patient sees."""

from __future__ import annotations

import pytest

from kiosk.bedside.shown_seat import shown_seat


@pytest.mark.parametrize(
    ("calls", "sending", "before", "shown"),
    [
        ([], [], "", ""),
        ([], [], "a", ""),
        (["a"], [], "", "a"),
        (["a"], ["a"], "", "a"),
        (["a", "b"], [], "", "a"),
        (["a", "b"], [], "b", "b"),
        (["a", "b"], ["b"], "a", "b"),
        (["a", "b"], ["a", "b"], "b", "b"),
        (["a", "b", "c"], ["c", "b"], "a", "b"),
        (["b", "c"], [], "a", "b"),
        (["b", "c"], ["c"], "a", "c"),
    ],
)
def test_the_seat_that_is_shown(calls: list[str], sending: list[str], before: str, shown: str) -> None:
    assert shown_seat(calls, sending=sending, before=before) == shown
