"""What the viewers report decides what is encoded; one whose path carries nothing does not pull the others down."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.media.rate_control import (
    AUDIO_ONLY_BPS,
    CLIMB_S,
    LADDER,
    MAX_RETRY_S,
    REMB_SHARE,
    RETRY_S,
    SHED_S,
    TRIAL_S,
    Control,
    Picture,
    Report,
    Target,
    begin,
    joined,
    left,
    lowest,
    reported,
    resized,
    ticked,
)

HD = Picture(1280, 720, 30)
ONE, TWO = 1, 2
CLEAN = Report(loss=0.0, rtt_s=0.05)
HOPELESS = Report(remb_bps=20_000)


def watched(*viewers: int, picture: Picture = HD) -> Control:
    control = begin(picture)
    for viewer in viewers or (ONE,):
        control = joined(control, viewer, 0.0)
    return control


def hopeless(control: Control, viewer: int, since: float) -> Control:
    """*viewer* reports that it gets next to nothing until it is shed."""
    for at in (since, since + SHED_S / 2, since + SHED_S):
        assert control.shows(viewer), "not for a moment's sake"
        control = reported(control, viewer, HOPELESS, at)
    return control


def target(control: Control) -> Target:
    assert control.target is not None
    return control.target


def test_nobody_watches_and_nothing_is_encoded() -> None:
    assert begin(HD).target is None
    assert left(watched(), ONE, 1.0).target is None


def test_a_call_begins_with_half_of_the_most() -> None:
    assert target(watched()) == Target(HD.max_bps // 2, 1, 30)


def test_clean_reports_raise_it_up_to_the_most() -> None:
    control = watched()
    rates = []
    for second in range(30):
        control = reported(control, ONE, CLEAN, float(second))
        rates.append(target(control).bps)
    assert rates == sorted(rates)
    assert rates[0] > HD.max_bps // 2
    assert rates[-1] == HD.max_bps


@pytest.mark.parametrize(
    ("loss", "rtt_s", "factor"),
    [(0.2, None, 0.9), (0.11, 0.05, 0.945), (0.10, 0.05, 1), (0.05, 0.05, 1), (0.0, 0.5, 1), (0.0, None, 1.08)],
)
def test_loss_and_round_trip_move_it_as_the_table_says(loss: float, rtt_s: float | None, factor: float) -> None:
    before = steady(loss)
    after = reported(before, ONE, Report(loss=loss, rtt_s=rtt_s), 1.0)
    assert target(after).bps == pytest.approx(target(before).bps * factor, rel=0.001)


def steady(loss: float) -> Control:
    """One viewer whose reports have said *loss* for long."""
    control = watched()
    return replace(control, paths={ONE: replace(control.paths[ONE], loss=loss)})


def test_a_loss_that_swings_about_five_per_cent_takes_nothing() -> None:
    control = watched()
    for second in range(300):
        control = reported(control, ONE, Report(loss=(0.0, 0.12, 0.03)[second % 3], rtt_s=0.05), float(second))
    assert target(control).bps >= HD.max_bps // 2


def test_what_a_viewer_estimated_too_low_for_a_moment_is_forgotten() -> None:
    control = reported(watched(), ONE, HOPELESS, 1.0)
    assert target(control).bps == AUDIO_ONLY_BPS
    control = reported(control, ONE, Report(remb_bps=5_000_000), 2.0)
    assert target(control).bps == HD.max_bps // 2
    assert ticked(control, 10.0).shows(ONE)


def test_it_is_never_above_what_the_viewer_estimates() -> None:
    control = reported(watched(), ONE, Report(remb_bps=900_000), 1.0)
    assert target(control).bps == round(900_000 * REMB_SHARE)
    assert target(reported(control, ONE, CLEAN, 2.0)).bps == round(900_000 * REMB_SHARE)


def test_the_worst_viewer_decides() -> None:
    control = reported(watched(ONE, TWO), TWO, Report(remb_bps=500_000), 1.0)
    assert target(control).bps == round(500_000 * REMB_SHARE)
    assert target(left(control, TWO, 2.0)).bps == HD.max_bps // 2


@pytest.mark.parametrize(("bps", "rung"), [(800_000, 0), (500_000, 1), (250_000, 2), (120_000, 3)])
def test_fewer_bits_make_smaller_and_then_fewer_pictures(bps: int, rung: int) -> None:
    control = reported(watched(), ONE, Report(remb_bps=round(bps / REMB_SHARE)), 1.0)
    assert (target(control).scale, target(control).fps) == (LADDER[rung].scale, 30 * LADDER[rung].fps_share)


def test_a_rung_is_climbed_only_when_it_has_fitted_for_a_while() -> None:
    control = reported(watched(), ONE, Report(remb_bps=500_000), 0.0)
    assert control.rung == 1
    control = reported(control, ONE, Report(remb_bps=800_000), 1.0)
    assert control.rung == 1, "not by a hair"
    good = Report(remb_bps=2_000_000, loss=0.0)
    at = 2.0
    while target(control).bps < 1.3 * LADDER[0].above_bps:
        control = reported(control, ONE, good, at)
        at += 0.1
    assert control.rung == 1
    assert ticked(control, at + CLIMB_S - 0.5).rung == 1
    assert ticked(control, at + CLIMB_S).rung == 0


def test_a_dip_begins_the_waiting_anew() -> None:
    control = reported(watched(), ONE, Report(remb_bps=400_000), 0.0)
    control = replace(control, paths={ONE: replace(control.paths[ONE], by_loss_bps=2e6, remb_bps=2e6)})
    control = ticked(control, 1.0)
    control = reported(control, ONE, Report(remb_bps=500_000), 2.0)
    assert control.fits_since is None
    assert control.rung == 1


# -- sound alone


def test_a_path_that_carries_no_picture_gets_sound_alone() -> None:
    control = hopeless(watched(), ONE, 1.0)
    assert control.target is None
    assert not control.shows(ONE)
    assert reported(control, ONE, CLEAN, 2.0) == control, "what is reported of sound alone says nothing of pictures"
    assert lowest(control) is None


def test_it_does_not_pull_the_others_down() -> None:
    control = hopeless(watched(ONE, TWO), TWO, 1.0)
    assert target(control).bps == HD.max_bps // 2
    assert control.shows(ONE)
    assert not control.shows(TWO)


def test_it_is_tried_again_and_stays_when_it_carries_pictures_now() -> None:
    control = hopeless(watched(), ONE, -SHED_S)
    assert ticked(control, RETRY_S - 0.1).target is None
    control = ticked(control, RETRY_S)
    assert control.shows(ONE)
    assert AUDIO_ONLY_BPS < target(control).bps < 3 * AUDIO_ONLY_BPS
    control = reported(control, ONE, CLEAN, RETRY_S + TRIAL_S + 1)
    control = hopeless(control, ONE, RETRY_S + TRIAL_S + 2)
    assert control.paths[ONE].retry_s == RETRY_S, "the trial had succeeded"


def test_each_trial_that_fails_makes_the_next_one_later() -> None:
    control, waits = watched(), []
    at = 0.0
    for _ in range(7):
        control = hopeless(control, ONE, at)
        waits.append(control.paths[ONE].retry_at - at - SHED_S)
        at = control.paths[ONE].retry_at
        control = ticked(control, at)
    assert waits == [10.0, 20.0, 40.0, 80.0, MAX_RETRY_S, MAX_RETRY_S, MAX_RETRY_S]


# -- other


def test_who_has_left_is_not_listened_to() -> None:
    control = watched(ONE)
    assert reported(control, TWO, HOPELESS, 1.0) == control
    assert not control.shows(TWO)


def test_a_smaller_picture_takes_fewer_bits() -> None:
    small = Picture(640, 360, 30)
    control = resized(reported(watched(), ONE, CLEAN, 1.0), small, 2.0)
    assert target(control).bps == pytest.approx(1.08 * small.max_bps / 2, rel=0.001)
    assert target(control).scale == 1


REPORTS = st.builds(
    Report,
    remb_bps=st.none() | st.integers(0, 2**40),
    loss=st.none() | st.floats(0, 1),
    rtt_s=st.none() | st.floats(0, 10),
)
SIZES = st.builds(Picture, width=st.integers(160, 1920), height=st.integers(90, 1088), fps=st.integers(5, 60))
STEPS = st.one_of(
    st.tuples(st.just("joined"), st.integers(0, 3)),
    st.tuples(st.just("left"), st.integers(0, 3)),
    st.tuples(st.just("reported"), st.integers(0, 3), REPORTS),
    st.tuples(st.just("ticked")),
    st.tuples(st.just("resized"), SIZES),
)


@given(SIZES, st.lists(st.tuples(st.floats(0, 60), STEPS), max_size=60))
def test_whatever_is_reported_the_target_is_one_that_can_be_encoded(
    picture: Picture, steps: list[tuple[float, tuple[object, ...]]]
) -> None:
    control, now = begin(picture), 0.0
    acts = {"joined": joined, "left": left, "reported": reported, "ticked": ticked, "resized": resized}
    for seconds, (name, *arguments) in steps:
        now += seconds
        assert isinstance(name, str)
        control = acts[name](control, *arguments, now)  # type: ignore[operator]
        assert (control.target is None) == (not any(control.shows(viewer) for viewer in control.paths))
        if control.target is not None:
            assert AUDIO_ONLY_BPS <= control.target.bps <= max(control.picture.max_bps, AUDIO_ONLY_BPS)
            assert control.target.bps == round(min(p.estimate_bps for p in control.paths.values() if not p.shed))
            assert 1 <= control.target.fps <= control.picture.fps
            assert 0.5 <= control.target.scale <= 1
