"""How long each stage of a call took: timed from its own moment, within one story, and never growing."""

from __future__ import annotations

import pytest

from kiosk.bedside.call_events import Kind
from kiosk.bedside.latency import CALL_ENDS, HEADLINE, KEPT, KEPT_OF_MEDIA, STAGES, Latency
from kiosk.bedside.trace import LatencyTable, both
from kiosk.media.stages import Stage

CALL = [
    ("edge", 0.0),
    ("lamp", 0.002),
    ("request_on_disk", 0.010),
    ("taken", 0.020),
    ("allocated", 0.021),
    ("offered", 0.040),
    ("onUserInviting", 0.050),
    ("media_connected", 0.100),
    ("accepted", 4.050),
    ("gate", 4.051),
    ("first_audio", 4.101),
    ("first_video", 4.151),
    ("onConnectionLost", 9.0),
    ("onConnectionRecovery", 9.3),
    ("onCallEnd", 12.0),
]


def table(*moments: tuple[str, float]) -> dict[str, tuple[int, float, float, float]]:
    """Stage → how often, p50, p95 and max in ms."""
    latency = Latency()
    for event, at in moments:
        latency.note(event, at)
    return told(latency)


def told(latency: Latency) -> dict[str, tuple[int, float, float, float]]:
    headline, *rows = latency.rows()
    assert headline == HEADLINE
    found = {}
    for row in rows:
        times, *figures = row[40:].split()
        p50, p95, most = map(float, figures)
        found[row[:40].strip()] = (int(times), p50, p95, most)
    return found


def test_each_stage_of_a_call_is_timed() -> None:
    seen = table(*CALL)
    assert list(seen) == [stage.name for stage in STAGES]
    expected = [2, 10, 20, 1, 19, 10, 60, 4000, 1, 50, 100, 300]
    assert [round(most) for _, _, _, most in seen.values()] == expected
    assert {times for times, *_ in seen.values()} == {1}


def test_a_table_of_nothing_has_no_rows() -> None:
    assert table() == {}


def test_a_merged_press_is_timed_to_the_lamp_and_the_disk_only() -> None:
    seen = table(("edge", 0.0), ("lamp", 0.1), ("edge", 1.0), ("lamp", 1.2), ("taken", 3.0))
    assert seen["edge → lamp"] == (2, 100.0, 200.0, 200.0)
    assert seen["edge → taken by the desk"] == (1, 3000.0, 3000.0, 3000.0)


def test_a_second_allocation_is_timed_from_its_own() -> None:
    seen = table(("allocated", 0.0), ("offered", 0.1), ("allocated", 30.0), ("allocated", 31.0), ("offered", 31.2))
    assert seen["allocated → offer made"] == (2, 100.0, 200.0, 200.0)


@pytest.mark.parametrize("end", ["cancel", *sorted(CALL_ENDS)])
def test_what_a_story_did_not_end_is_not_ended_by_the_next(end: str) -> None:
    seen = table(("edge", 0.0), ("taken", 0.1), (end, 5.0), ("allocated", 60.0), ("edge", 61.0), ("taken", 61.3))
    assert "taken → seat allocated" not in seen
    assert seen["edge → taken by the desk"] == (2, 100.0, 300.0, 300.0)


def test_it_does_not_grow() -> None:
    presses = [(event, float(at)) for at in range(KEPT + 50) for event in ("edge", "lamp")]
    assert table(*presses)["edge → lamp"][0] == KEPT


def test_the_stages_of_pictures_and_sound_stand_beside_them_and_belong_to_no_story() -> None:
    latency = Latency()
    for seconds in (0.010, 0.030, 0.020):
        latency.took(Stage.PICTURE_ENCODED, seconds)
        latency.note("onCallEnd", 1.0)
    latency.took(Stage.SOUND_PLAYED, 0.060)
    assert told(latency) == {
        "picture taken → encoded": (3, 20.0, 30.0, 30.0),
        "sound received → played": (1, 60.0, 60.0, 60.0),
    }


def test_the_stages_of_pictures_and_sound_do_not_grow_either() -> None:
    latency = Latency()
    for number in range(KEPT_OF_MEDIA + 50):
        latency.took(Stage.SOUND_SENT, float(number))
    times, _, _, most = told(latency)["sound encoded → sent"]
    assert (times, most) == (KEPT_OF_MEDIA, (KEPT_OF_MEDIA + 49) * 1000)


def test_the_ends_are_tuicallings() -> None:
    assert set(Kind) > CALL_ENDS


def test_the_table_is_printed_at_each_calls_end_and_what_came_later_at_the_end() -> None:
    said: list[str] = []
    with LatencyTable(said.append) as printed:
        printed.note("edge", ago=0.5)
        printed.note("lamp")
        printed.note("onCallEnd", "c1")
        assert len(said) == 2
        assert "edge → lamp" in said[1]
        printed.note("edge")
    assert len(said) == 4


def test_nothing_is_printed_twice() -> None:
    said: list[str] = []
    with LatencyTable(said.append) as printed:
        printed.note("onCallEnd")
    assert said == [HEADLINE]


def test_two_may_watch() -> None:
    heard: list[tuple[str, str, float]] = []

    def note(event: str, call_id: str = "", *, ago: float = 0.0) -> None:
        heard.append((event, call_id, ago))

    both(note, note)("gate", "c1", ago=0.25)
    assert heard == [("gate", "c1", 0.25)] * 2
