"""Which budgets of ``kiosk bench media`` are missed by which figures; and how pictures are timed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiosk.bench import video, voice
from kiosk.bench.accepts import PICTURE, Accepts
from kiosk.bench.links import BACK_S, CLEAN, DELAY_S, FIVE, OUTAGE, OUTAGE_S, Link, lossy
from kiosk.bench.plain_call import PlainCall
from kiosk.bench.shown_pictures import Shown, glass_to_glass
from kiosk.bench.voice import AIORTC, OURS, TO_BED, TO_SEAT, Heard
from kiosk.bench.voice_scores import Scores

GOOD = Heard([100.0], missing=0.0, made_up=0.01, scores=Scores(0.97, 3.5), added=[50.0], covered=1.0)
SEEN = Shown(20.0, 29.0, 0.0, 60.0, 1.5, 0, 40, "video/H264", [50.0])
COSTS = {
    video.PASSED: 1.0,
    video.PASSED_BY_4: 1.5,
    video.ENCODED: 4.0,
    video.ENCODED_BY_4: 5.0,
    video.AIORTCS: 10.0,
}


# -- links


def test_after_an_outage_delays_count_when_it_must_be_made_good_and_else_at_once() -> None:
    assert OUTAGE.delays_from_s == OUTAGE_S + BACK_S
    assert FIVE.delays_from_s == CLEAN.delays_from_s == 0.0
    assert lossy(5) == FIVE
    assert (FIVE.share, FIVE.delay_s, CLEAN.share, CLEAN.delay_s) == (0.05, DELAY_S, 0.0, 0.0)


# -- voices


def missed_by(heard: Heard, *, link: Link = FIVE, direction: str = TO_BED, whose: str = OURS) -> list[str]:
    return voice.missed({(link, direction, whose): heard})


@pytest.mark.parametrize("link", voice.LINKS)
def test_a_good_voice_misses_nothing(link: Link) -> None:
    assert missed_by(GOOD, link=link) == []


@pytest.mark.parametrize(
    ("link", "added", "words"),
    [
        (CLEAN, 81.0, "clean, seat → bed: 81 ms added (must: 80)"),
        (FIVE, 121.0, "5 % lost, 25 ms, seat → bed: 121 ms added (must: 120)"),
        (OUTAGE, 81.0, "300 ms outage (delays: 2 s after), seat → bed: 81 ms added (must: 80)"),
    ],
)
def test_what_is_added_has_a_bound_on_each_link_that_is_named_in_the_design(
    link: Link, added: float, words: str
) -> None:
    late = replace(GOOD, added=[added])
    assert missed_by(late, link=link) == [words]
    assert missed_by(replace(GOOD, added=[added - 1]), link=link) == []
    assert missed_by(late, link=lossy(20)) == []


def test_sound_must_cover_the_time_up_to_5_per_cent() -> None:
    holed = replace(GOOD, covered=0.979)
    assert missed_by(holed) == ["5 % lost, 25 ms, seat → bed: 97.9% covered (must: 98%)"]
    assert missed_by(holed, link=lossy(10)) == missed_by(holed, link=OUTAGE) == []


def test_speech_must_be_understood_up_to_10_per_cent_in_both_directions() -> None:
    mumbled = replace(GOOD, scores=Scores(0.74, 2.0))
    for direction in (TO_BED, TO_SEAT):
        assert missed_by(mumbled, link=lossy(10), direction=direction) == [
            f"10 % lost, 25 ms, {direction}: STOI 0.74 (must: 0.75)"
        ]
    assert missed_by(mumbled, link=lossy(20)) == []


def test_aiortcs_voice_has_no_budget() -> None:
    bad = Heard([], missing=1.0, made_up=None, scores=Scores(0.0, 1.0), added=[999.0], covered=0.0)
    assert missed_by(bad, whose=AIORTC) == []
    assert voice.rows({(FIVE, TO_BED, AIORTC): bad})[-2].split()[-5:] == ["999", "100.0%", "-", "0.00", "1.00"]


def test_a_voice_has_a_row() -> None:
    row = voice.rows({(FIVE, TO_BED, OURS): GOOD})[-2]
    assert row.startswith("5 % lost, 25 ms, seat → bed, ours ")
    assert row.split()[-7:] == ["100", "100", "50", "0.0%", "1.0%", "0.97", "3.50"]


# -- pictures


@pytest.mark.parametrize(
    ("shown", "link", "words"),
    [
        (replace(SEEN, codes_per_s=24.9), FIVE, "24.9 codes a second (must: 25)"),
        (replace(SEEN, frozen_s=0.5), FIVE, "frozen for 0.50 s (must: < 0.50 s)"),
        (replace(SEEN, megabits_per_s=0.9), FIVE, "0.90 Mb/s (must: 1)"),
        (replace(SEEN, glass_ms=[101.0]), CLEAN, "glass → glass 101 ms (must: 100)"),
        (replace(SEEN, glass_ms=[]), CLEAN, "glass → glass inf ms (must: 100)"),
    ],
)
def test_pictures_must_be_many_whole_and_soon(shown: Shown, link: Link, words: str) -> None:
    assert video.missed({(link, video.OURS): shown}) == [f"{link.name}: {words}"]
    assert video.missed({(link, video.OURS): SEEN, (link, video.AIORTC): shown}) == []


def test_in_a_short_run_one_freeze_is_forgiven() -> None:
    short = replace(SEEN, seconds=4.0, frozen_s=0.2)
    assert video.missed({(FIVE, video.OURS): short}) == []
    assert video.missed({(FIVE, video.OURS): replace(short, frozen_s=0.4)})


def test_pictures_may_be_shed_at_10_per_cent() -> None:
    shed = replace(SEEN, codes_per_s=0.0, frozen_s=20.0, megabits_per_s=0.0, glass_ms=[])
    assert video.missed({(lossy(10), video.OURS): shed}) == []
    assert video.rows({(lossy(10), video.OURS): shed})[-2].split()[-5:] == ["-", "-", "0.00", "0", "40"]


@pytest.mark.parametrize(
    ("name", "ms", "words"),
    [
        (video.PASSED, 2.6, "passthrough, 1 viewer: 0.26 of aiortc, H.264, 1 viewer (must: 0.25)"),
        (video.PASSED_BY_4, 2.1, "passthrough, 4 viewers: 2.10 of passthrough, 1 viewer (must: 2)"),
        (video.ENCODED_BY_4, 5.3, "encode once, 4 viewers: 1.32 of encode once, 1 viewer (must: 1.3)"),
    ],
)
def test_a_picture_may_cost_so_much_of_another(name: str, ms: float, words: str) -> None:
    assert video.dear(COSTS) == []
    assert words in video.dear({**COSTS, name: ms})


def test_what_was_not_measured_is_not_dear() -> None:
    assert video.dear({video.PASSED: 1.0, video.AIORTCS: 10.0}) == []
    assert video.cost_rows({video.PASSED: 1.0, video.AIORTCS: 10.0})[1].split()[-2:] == ["1.00", "0.10"]


def test_a_picture_is_timed_from_its_filming_to_its_first_painting() -> None:
    painted = [(100.0, None), (150.0, 7), (183.0, 7), (216.0, 8), (250.0, 99)]
    assert glass_to_glass(painted, {6: 50.0, 7: 90.0, 8: 130.0}) == [60.0, 86.0]


# -- accepts


def accepts(*, delay_s: float, connected: float, late: float) -> Accepts:
    """Every first picture and sound comes so many ms after the accept."""

    def call(ms: float) -> list[tuple[str, float]]:
        ends = ("seat first_video_frame", "seat first_audio", "first_audio")
        return [("seat accept_clicked", 10.0), *((end, 10.0 + ms / 1000) for end in ends)]

    return Accepts(delay_s, [call(connected)] * 3, [call(late)] * 3, [PlainCall(90.0, 91.0, 92.0, 0.2)])


def test_over_a_long_link_the_first_picture_must_come_three_times_sooner() -> None:
    assert accepts(delay_s=DELAY_S, connected=80, late=241).too_little_gained() == []
    assert accepts(delay_s=DELAY_S, connected=80, late=200).too_little_gained() == [
        "25 ms away: first picture 2.5 times quicker than not pre-connected (must: 3)"
    ]
    assert accepts(delay_s=0.0, connected=80, late=100).too_little_gained() == [], "on loopback there is no budget"


def test_picture_and_sound_stand_beside_the_baseline_and_keep_their_budgets_on_a_clean_link() -> None:
    near, far = accepts(delay_s=0.0, connected=210, late=300), accepts(delay_s=DELAY_S, connected=210, late=700)
    assert [figure.missed for figure in near.figures()] == [True, False, False, False, False, False]
    assert not any(figure.missed for figure in far.figures())
    assert [list(figure.baseline) for figure in near.figures()[:3]] == [[90.0], [91.0], [92.0]]
    assert far.rows()[0] == f"25 ms away: accept → {PICTURE}: 3.3 times quicker than not pre-connected (must: 3)"
