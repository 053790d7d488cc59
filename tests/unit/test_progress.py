"""The watchdog is fed only while everything a patient depends on really goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.bedside import debounce
from kiosk.bedside.progress import AUDIO_WITHIN_S, BUTTON_WITHIN_S, Path, audio, stalled

NOW = 100.0
HEALTHY = frozenset[str]()


def test_each_path_alone_starves_the_watchdog() -> None:
    names = ("button GPIO17", "signaling", "audio")
    paths = {name: Path(NOW - 1, 2.0) for name in names}
    assert stalled(paths, now=NOW) == ()
    for name in names:
        assert stalled({**paths, name: Path(NOW - 2.1, 2.0)}, now=NOW) == (name,)


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 200), max_size=5))
def test_it_is_fed_exactly_when_nobody_is_late(moved: dict[str, float]) -> None:
    late = stalled({name: Path(at, 10.0) for name, at in moved.items()}, now=NOW)
    assert set(late) == {name for name, at in moved.items() if NOW - at > 10.0}


def test_a_button_has_time_for_several_looks() -> None:
    assert BUTTON_WITHIN_S >= 3 * debounce.REREAD_S


def test_sound_is_waited_for_only_in_a_call() -> None:
    assert audio(None, {"speaker": 0.0}, faulty=HEALTHY) is None
    assert audio(NOW, {"speaker": 0.0}, faulty=HEALTHY) == Path(NOW, AUDIO_WITHIN_S)


def test_one_of_the_devices_keeps_the_audio_clock_going() -> None:
    assert audio(1.0, {"speaker": 5.0, "microphone": NOW}, faulty=HEALTHY) == Path(NOW, AUDIO_WITHIN_S)


@pytest.mark.parametrize("moved", [{}, {"speaker": 5.0, "microphone": 5.0}])
def test_devices_that_are_missing_or_told_as_faulty_are_not_waited_for(moved: dict[str, float]) -> None:
    assert audio(1.0, moved, faulty=frozenset({"speaker", "microphone"})) is None


def test_a_faulty_device_does_not_speak_for_the_other() -> None:
    told = audio(1.0, {"speaker": NOW, "microphone": 5.0}, faulty=frozenset({"speaker"}))
    assert told == Path(5.0, AUDIO_WITHIN_S)
