"""How good a connection is: TUICalling's words for what the figures say, and no flicker."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.media import quality
from kiosk.media.measuring import totals
from kiosk.media.playout_words import Report
from kiosk.media.quality import LIMITS, STALLED, Sample, Standing, Totals, between, judge, rate
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import QualityLevel

FINE = Sample(loss_in=0.0, rtt_ms=20.0)
LOSSY = Sample(loss_in=0.10, rtt_ms=20.0)
AWFUL = Sample(loss_in=0.5)

PARTS = st.none() | st.floats(0, 1)
TIMES = st.none() | st.floats(0, 1e6)
SAMPLES = st.builds(
    Sample,
    loss_in=PARTS,
    loss_out=PARTS,
    rtt_ms=TIMES,
    jitter_ms=TIMES,
    kbps_in=TIMES,
    kbps_out=TIMES,
    fps=TIMES,
    concealed=PARTS,
    late=PARTS,
    frozen=PARTS,
    stalled=st.booleans(),
)


def with_(name: str, value: float) -> Sample:
    figures: dict[str, Any] = {name: value}
    return Sample(**figures)


def shown(*samples: Sample) -> list[QualityLevel]:
    """What a person sees after each."""
    standings = itertools.accumulate(samples, judge, initial=Standing())
    return [standing.level for standing in standings][1:]


# -- one sample


def test_nothing_known_is_unknown() -> None:
    assert rate(Sample()) is QualityLevel.UNKNOWN
    assert rate(Sample(kbps_in=500.0, fps=30.0, late=1.0)) is QualityLevel.UNKNOWN


def test_no_connection_is_disconnected_whatever_else_is_known() -> None:
    assert rate(replace(FINE, stalled=True)) is QualityLevel.DISCONNECTED


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_parts_two_words(name: str) -> None:
    just_within = [rate(with_(name, limit)) for limit in LIMITS[name]]
    just_beyond = [rate(with_(name, limit * 1.001)) for limit in LIMITS[name]]
    assert just_within == [1, 2, 3, 4]
    assert just_beyond == [2, 3, 4, 5]
    assert rate(with_(name, 0.0)) is QualityLevel.EXCELLENT


def test_the_worst_figure_counts() -> None:
    assert rate(Sample(loss_in=0.0, rtt_ms=10.0, jitter_ms=70.0)) is QualityLevel.BAD


@given(SAMPLES, SAMPLES)
def test_what_is_worse_in_every_figure_is_never_rated_better(one: Sample, other: Sample) -> None:
    def worse(name: str) -> Any:
        values = [value for value in (getattr(one, name), getattr(other, name)) if value is not None]
        return max(values, default=None)

    both = Sample(**{name: worse(name) for name in LIMITS}, stalled=one.stalled or other.stalled)
    assert rate(both) == max(rate(one), rate(other))


# -- what is shown


def test_the_first_figures_are_shown_at_once() -> None:
    assert shown(Sample(), LOSSY) == [QualityLevel.UNKNOWN, QualityLevel.BAD]


def test_one_bad_second_is_not_shown() -> None:
    assert shown(FINE, LOSSY, FINE, LOSSY, FINE) == [QualityLevel.EXCELLENT] * 5


def test_two_bad_seconds_are() -> None:
    assert shown(FINE, AWFUL, LOSSY)[1:] == [QualityLevel.EXCELLENT, QualityLevel.BAD]


def test_better_is_shown_after_five_good_seconds_in_a_row() -> None:
    assert shown(LOSSY, *[FINE] * 5) == [*[QualityLevel.BAD] * 5, QualityLevel.EXCELLENT]
    assert shown(LOSSY, *[FINE] * 4, LOSSY, *[FINE] * 4)[-1] is QualityLevel.BAD


def test_just_within_the_limit_is_not_better_enough() -> None:
    almost = Sample(loss_in=LIMITS["loss_in"][2] * 0.9)
    assert set(shown(LOSSY, *[almost] * 20)) == {QualityLevel.BAD}


def test_a_lost_path_is_shown_at_once_and_so_is_its_return() -> None:
    assert shown(FINE, STALLED, LOSSY) == [1, 6, 4]


@given(st.lists(SAMPLES, max_size=40))
def test_after_each_change_it_stays_for_a_second_at_least(samples: list[Sample]) -> None:
    levels = [QualityLevel.UNKNOWN, *shown(*samples)]
    edges = {QualityLevel.UNKNOWN, QualityLevel.DISCONNECTED}
    for before, now, after in zip(levels, levels[1:], levels[2:], strict=False):
        assert {before, now, after} & edges or before == now or now == after


# -- what a connection counts


def test_a_sample_is_what_happened_between_two_readings() -> None:
    before = Totals(10.0, packets=100, lost=5, late=1, bytes_in=1000, bytes_out=0, frames=10, played=0)
    after = Totals(
        14.0,
        packets=290,
        lost=15,
        late=20,
        loss_out=0.25,
        rtt_ms=51.0,
        jitter_ms=7.0,
        bytes_in=51_000,
        bytes_out=500_000,
        frames=110,
        played=192_000,
        concealed=9_600,
    )
    assert between(before, after) == Sample(
        loss_in=0.05,
        loss_out=0.25,
        rtt_ms=51.0,
        jitter_ms=7.0,
        kbps_in=100.0,
        kbps_out=1000.0,
        fps=25.0,
        concealed=0.05,
        late=0.1,
    )


def test_one_reading_or_two_that_are_near_tell_nothing() -> None:
    assert between(Totals(1.0), Totals(1.0)) == Sample()
    assert between(Totals(1.0), Totals(2.0, packets=50, lost=1, loss_out=0.5)) == Sample()


def test_where_nothing_came_no_part_is_known() -> None:
    sample = between(Totals(1.0), Totals(3.0))
    assert (sample.loss_in, sample.concealed, sample.late, sample.fps) == (None, None, None, None)


def test_a_lost_packet_that_comes_after_all_is_no_negative_loss() -> None:
    assert between(Totals(1.0, packets=10, lost=3), Totals(3.0, packets=20, lost=1)).loss_in == 0.0


# -- aiortc's reports


def test_aiortcs_reports_are_read_in_our_units() -> None:
    reports = [
        SimpleNamespace(type="outbound-rtp", kind="audio"),
        SimpleNamespace(type="remote-inbound-rtp", kind="audio", fractionLost=64, roundTripTime=0.05),
        SimpleNamespace(type="remote-inbound-rtp", kind="video", fractionLost=16, roundTripTime=None),
        SimpleNamespace(type="inbound-rtp", kind="audio", jitter=480),
        SimpleNamespace(type="inbound-rtp", kind="video", jitter=9_000),
        SimpleNamespace(type="transport", bytesReceived=1000, bytesSent=2000),
    ]
    sound = Report(
        received=105, doubled=4, unusable=1, lost=10, late=2, decoded=900, mended=50, concealed=30, silent=20
    )
    assert totals(reports, sound=sound, frames=7, at=3.0) == Totals(
        3.0,
        packets=100,
        lost=10,
        late=2,
        loss_out=0.25,
        rtt_ms=50.0,
        jitter_ms=10.0,
        bytes_in=1000,
        bytes_out=2000,
        frames=7,
        played=1000,
        concealed=50,
    )


def test_before_the_first_report_nothing_is_known() -> None:
    assert totals([], sound=None, frames=0, at=3.0) == Totals(3.0)


# -- on the wire


@given(SAMPLES)
def test_whatever_was_measured_can_be_sent(sample: Sample) -> None:
    message = quality.told("c1", judge(Standing(), sample))
    assert codec.Decoder(wire.FromKiosk).decode(codec.encode(message)) == message
