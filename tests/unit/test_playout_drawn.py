"""Whatever a network or a hostile sender does to sound: bounded, in order, and every packet's fate counted once."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from kiosk.bench.network_traces import traces
from kiosk.media.opus_packet import RTP_CLOCK
from kiosk.media.playout import MAX_TARGET_S, MAX_WAITING, MIN_TARGET_S, STEP
from kiosk.media.playout_words import Arrived, Decode, Report
from tests.unit.playouts import BEGIN_S, PACKET_S, Speaker, packet, quiet

NUMBERS = st.integers(0, 0xFFFF)
PAYLOADS = st.one_of(
    st.integers(0, 99).map(lambda number: packet(number, at=0).payload),
    st.integers(0, 99).map(lambda number: packet(number, at=0, mends=True).payload),
    st.just(quiet()),
    st.binary(max_size=6),
)
ODD_PACKETS = st.builds(
    Arrived,
    ssrc=st.integers(1, 2),
    sequence=NUMBERS,
    timestamp=st.one_of(st.integers(0, 200 * STEP), st.integers(0, 0xFFFFFFFF)),
    at=st.just(0.0),
    payload=PAYLOADS,
)


@given(history=st.lists(st.one_of(ODD_PACKETS, st.integers(1, 60)), max_size=80))
def test_nothing_that_comes_stops_it_or_grows_without_bound(history: list[Arrived | int]) -> None:
    """A hostile sender's packets, and pulls between them."""
    speaker = Speaker()
    for what in history:
        if isinstance(what, int):
            speaker.pulls(what)
        else:
            speaker.playout.receive(Arrived(what.ssrc, what.sequence, what.timestamp, speaker.at, what.payload))
        report = speaker.playout.report
        assert 0 <= report.depth_s <= MAX_WAITING * 0.12
        assert MIN_TARGET_S <= report.target_s <= MAX_TARGET_S
        assert speaker.rest < 2 * STEP + RTP_CLOCK * 0.12
        assert min(counts(report)) >= 0


def counts(report: Report) -> list[int]:
    return [report.received, report.lost, report.late, report.skipped, report.concealed, report.accelerated]


FATES = st.lists(
    st.one_of(
        st.floats(0, 0.06),
        st.floats(0, 0.3),
        st.none(),
    ),
    min_size=5,
    max_size=150,
)


@given(fates=FATES, mends=st.booleans(), twice=st.sets(st.integers(0, 149), max_size=10))
def test_order_is_kept_and_every_packet_is_played_at_most_once(
    fates: list[float | None], mends: bool, twice: set[int]
) -> None:
    arrivals = [
        packet(number, at=BEGIN_S + number * PACKET_S + late, mends=mends)
        for number, late in enumerate(fates)
        if late is not None
    ]
    arrivals += [packet(one.sequence, at=one.at + 0.01, mends=mends) for one in arrivals if one.sequence in twice]
    speaker = Speaker()
    speaker.plays(arrivals, until=len(fates) * PACKET_S + 1.0)
    assert speaker.numbers == sorted(set(speaker.numbers))
    report = speaker.playout.report
    came = len({arrived.sequence for arrived in arrivals})
    assert len(speaker.numbers) + report.late + report.skipped == came
    assert report.doubled == len(arrivals) - came


@given(
    before=st.integers(50, 150),
    length_s=st.floats(0.02, 0.9),
    is_lost=st.booleans(),
    phase_s=st.floats(0, PACKET_S),
)
def test_two_seconds_after_a_burst_the_delay_is_under_the_bound_wherever_it_falls(
    before: int, length_s: float, is_lost: bool, phase_s: float
) -> None:
    begin = before * PACKET_S
    arrivals = []
    for number in range(before + 250):
        at = BEGIN_S + number * PACKET_S
        if begin <= at < begin + length_s:
            if is_lost:
                continue
            at = begin + length_s
        arrivals.append(packet(number, at=at))
    speaker = Speaker(at=phase_s)
    speaker.plays(arrivals, until=(before + 250) * PACKET_S)
    after = [
        at - step.arrived_at
        for at, step in speaker.heard
        if isinstance(step, Decode) and at >= begin + length_s + 2.0
    ]
    assert max(after) <= 0.08


def test_a_drawn_network_of_each_kind_is_played_whole() -> None:
    """Nothing is late twice, lost twice or played twice: every packet's fate is counted once."""
    for trace in traces(packets=1000, chance=random.Random(1)):
        arrivals = [packet(came.index, at=came.at) for came in trace.arrivals]
        speaker = Speaker()
        speaker.plays(arrivals, until=1000 * PACKET_S + 1.0)
        report = speaker.playout.report
        assert report.received == len(arrivals)
        assert len(speaker.numbers) + report.late + report.skipped == len(arrivals), trace.name
