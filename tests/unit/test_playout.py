"""What received sound is made of at each pull: in order, once, and with as little delay as the network allows."""

from __future__ import annotations

import random

import pytest

from kiosk.media.playout import CONCEAL_S, MAX_TARGET_S, MAX_WAITING, MIN_TARGET_S, STALL_S, START_S, STEP, Playout
from kiosk.media.playout_words import Arrived, Comfort, Conceal, Decode, Mend, Pace, Report, Silence
from tests.unit.playouts import BEGIN_S, PACKET_S, SSRC, Speaker, number_of, packet, quiet

FRAMES_OF_120_MS = round(CONCEAL_S / PACKET_S)


def stream(first: int, last: int, *, late: float = 0.0, mends: bool = False, skew: int = 0) -> list[Arrived]:
    """Packets *first* to *last*, each as it is sent, *late* seconds later."""
    return [
        packet(number, at=BEGIN_S + number * PACKET_S + late, mends=mends, skew=skew)
        for number in range(first, last + 1)
    ]


def without(arrivals: list[Arrived], *numbers: int) -> list[Arrived]:
    return [arrived for arrived in arrivals if arrived.sequence not in numbers]


@pytest.fixture
def speaker() -> Speaker:
    return Speaker()


# -- the beginning


def test_before_anything_comes_there_is_silence(speaker: Speaker) -> None:
    assert speaker.pulls(3) == [Silence(STEP)] * 3
    assert speaker.playout.report == Report(target_s=START_S)


def test_the_first_packet_waits_before_it_is_played(speaker: Speaker) -> None:
    speaker.plays(stream(0, 10), until=0.2)
    at, first = next((at, step) for at, step in speaker.heard if isinstance(step, Decode))
    assert first.fresh
    assert START_S <= at - BEGIN_S <= START_S + PACKET_S
    assert speaker.numbers[:5] == [0, 1, 2, 3, 4]


def test_packets_that_overtake_each_other_at_the_beginning_are_played_in_order(speaker: Speaker) -> None:
    first, second, third = stream(0, 2)
    for arrived in (second, first, third):
        speaker.playout.receive(Arrived(SSRC, arrived.sequence, arrived.timestamp, BEGIN_S, arrived.payload))
    speaker.pulls(8)
    assert speaker.numbers == [0, 1, 2]


def test_a_playout_may_be_asked_before_it_is_given_anything() -> None:
    playout = Playout()
    assert not playout.ready
    assert playout.next() == Silence(STEP)


# -- order, and each packet once


def test_packets_that_overtake_each_other_are_played_in_order(speaker: Speaker) -> None:
    arrivals = stream(0, 20)
    arrivals[11], arrivals[10] = (
        packet(11, at=arrivals[10].at),
        packet(10, at=arrivals[11].at - 0.005),
    )
    speaker.plays(arrivals, until=0.4)
    assert speaker.numbers == sorted(speaker.numbers)
    assert {10, 11} <= set(speaker.numbers)
    assert speaker.playout.report.late == 0


def test_a_packet_that_comes_twice_is_played_once(speaker: Speaker) -> None:
    arrivals = stream(0, 20)
    speaker.plays([*arrivals, packet(5, at=arrivals[5].at), packet(6, at=arrivals[9].at)], until=0.4)
    assert speaker.numbers == sorted(set(speaker.numbers))
    assert speaker.playout.report.doubled == 2
    assert speaker.playout.report.late == 0


def test_sequence_and_time_stamp_may_wrap(speaker: Speaker) -> None:
    first = 0xFFFF - 5
    skew = (1 << 32) - 4 * STEP - first * STEP
    arrivals = [packet(first + number, at=BEGIN_S + number * PACKET_S, skew=skew) for number in range(20)]
    speaker.plays(arrivals, until=0.4)
    assert speaker.numbers == list(range(first, first + len(speaker.numbers)))
    assert len(speaker.numbers) > 15
    assert speaker.playout.report.lost == speaker.playout.report.restarts == 0


def test_sound_that_overlaps_is_left_out(speaker: Speaker) -> None:
    odd = Arrived(SSRC, 1, 100, BEGIN_S, packet(1, at=0).payload)
    speaker.plays([stream(0, 0)[0], odd, *stream(2, 9)], until=0.3)
    assert 1 not in speaker.numbers
    assert speaker.playout.report.unusable == 1


@pytest.mark.parametrize("payload", [b"", b"\x03", b"\x01\x00"])
def test_what_is_no_opus_is_counted_and_left_out(speaker: Speaker, payload: bytes) -> None:
    speaker.playout.receive(packet(0, at=0.0, payload=payload))
    assert speaker.pulls(4) == [Silence(STEP)] * 4
    assert speaker.playout.report.unusable == 1


# -- losses


def test_a_lost_packet_is_concealed_and_adds_no_delay(speaker: Speaker) -> None:
    speaker.plays(without(stream(0, 60), 30), until=1.2)
    assert 30 not in speaker.numbers
    assert [step for step in speaker.steps if isinstance(step, Conceal)] == [Conceal(STEP, after=0)]
    report = speaker.playout.report
    assert (report.lost, report.concealed, report.late) == (1, STEP, 0)
    before, after = (delay_of(speaker, number) for number in (29, 31))
    assert after == pytest.approx(before, abs=0.001)


def delay_of(speaker: Speaker, number: int) -> float:
    return next(
        at - step.arrived_at for at, step in speaker.heard if isinstance(step, Decode) and number_of(step) == number
    )


def test_a_lost_packet_is_mended_from_the_next_ones_copy(speaker: Speaker) -> None:
    speaker.plays(without(stream(0, 200, late=0.0, mends=True), *range(10, 200, 10)), until=4.0)
    mended = [step for step in speaker.steps if isinstance(step, Mend)]
    assert {number_of(step) for step in mended} <= set(range(11, 201, 10))
    assert len(mended) > 10
    assert {step.samples for step in mended} == {STEP}
    assert speaker.playout.report.mended == len(mended) * STEP
    assert speaker.numbers == sorted(set(speaker.numbers))


def test_losses_are_worth_a_longer_wait_only_where_copies_come() -> None:
    lossy = without(stream(0, 200, mends=True), *range(10, 200, 10))
    bare = [packet(arrived.sequence, at=arrived.at) for arrived in lossy]
    targets = []
    for arrivals in (lossy, bare):
        speaker = Speaker()
        speaker.plays(arrivals, until=4.0)
        targets.append(speaker.playout.report.target_s)
    assert targets[0] == pytest.approx(targets[1] + PACKET_S, abs=0.006)


def test_of_two_lost_packets_the_second_is_mended(speaker: Speaker) -> None:
    lost = [number for number in range(100, 300) if number % 20 < 2]
    speaker.plays(without(stream(0, 300, mends=True), *lost), until=6.0)
    steps = speaker.steps
    mended = [place for place, step in enumerate(steps) if isinstance(step, Mend)]
    assert len(mended) >= len(lost) / 2 - 2
    assert {type(steps[place - 1]) for place in mended} == {Conceal}
    assert {type(steps[place + 1]) for place in mended} == {Decode}


def test_a_hole_that_shows_itself_at_once_is_mended_where_it_can_be(speaker: Speaker) -> None:
    """The packets behind it are here long before they are due, as after a burst."""
    lost = (103, 104, 105)
    speaker.plays(without(burst(0.3, mends=True), *lost), until=4.0)
    fill = [step for step in speaker.steps if isinstance(step, Mend | Conceal)]
    (mended,) = (step for step in fill if isinstance(step, Mend))
    assert number_of(mended) == 106
    assert fill[fill.index(mended) - 1] == Conceal(STEP, after=STEP)


def test_a_packet_that_comes_after_its_time_is_late_and_not_played(speaker: Speaker) -> None:
    arrivals = [*without(stream(0, 60), 30), packet(30, at=BEGIN_S + 30 * PACKET_S + 0.3)]
    speaker.plays(arrivals, until=1.2)
    assert 30 not in speaker.numbers
    report = speaker.playout.report
    assert (report.late, report.lost) == (1, 0)


def test_a_packet_that_is_late_while_nothing_else_is_here_is_played_nevertheless(speaker: Speaker) -> None:
    """Nothing is lost of what a short stand-still of the network only delays."""
    arrivals = [*stream(0, 29), *(packet(number, at=1.0) for number in range(30, 50)), *stream(50, 80)]
    speaker.plays(arrivals, until=1.6)
    assert speaker.numbers == list(range(speaker.numbers[-1] + 1))
    assert speaker.playout.report.lost == speaker.playout.report.late == 0


def test_concealment_ends_in_silence(speaker: Speaker) -> None:
    speaker.plays(stream(0, 29), until=0.9)
    fill = [step for step in speaker.steps if not isinstance(step, Decode)]
    start = fill.index(Conceal(STEP, after=0))
    guessed = fill[start : start + FRAMES_OF_120_MS]
    assert guessed == [Conceal(STEP, after=number * STEP) for number in range(FRAMES_OF_120_MS)]
    assert set(fill[start + FRAMES_OF_120_MS :]) == {Silence(STEP)}
    assert speaker.playout.report.silent > 0


def test_a_hole_of_a_whole_outage_is_filled_as_far_as_it_can_be(speaker: Speaker) -> None:
    """The packets behind the outage come at once with its end: the rest of the hole shows itself."""
    speaker.plays([*stream(0, 29), *stream(45, 80)], until=1.5)
    assert speaker.playout.report.lost == 15
    assert delay_of(speaker, 60) == pytest.approx(delay_of(speaker, 29), abs=0.001)


# -- delay


def test_on_a_clean_network_the_delay_goes_down_to_the_least(speaker: Speaker) -> None:
    speaker.plays(stream(0, 200), until=4.0)
    assert speaker.playout.report.delay_s < MIN_TARGET_S + 0.01
    assert speaker.playout.report.accelerated > 0
    assert speaker.playout.report.concealed == 0


def test_where_the_shell_cannot_stretch_nothing_is_skipped_for_a_little_delay(speaker: Speaker) -> None:
    speaker.stretches = False
    speaker.plays(stream(0, 200), until=4.0)
    assert speaker.playout.report.skipped == 0


def burst(length_s: float, *, mends: bool = False) -> list[Arrived]:
    """Two seconds, a stand-still whose packets come at its end, five more seconds."""
    end = 2.0 + length_s
    sent = {number: BEGIN_S + number * PACKET_S for number in range(400)}
    return [packet(number, at=at if number < 100 else max(at, end), mends=mends) for number, at in sent.items()]


@pytest.mark.parametrize("stretches", [True, False])
@pytest.mark.parametrize("length_s", [0.1, 0.3, 0.45, 0.8, 1.2])
def test_two_seconds_after_any_burst_the_delay_is_under_the_bound(length_s: float, stretches: bool) -> None:
    speaker = Speaker(stretches=stretches)
    speaker.plays(burst(length_s), until=7.5)
    delays = [(at, at - step.arrived_at) for at, step in speaker.heard if isinstance(step, Decode)]
    assert max(delay for at, delay in delays if at < 2.0 + length_s + 2.0) > 0.05
    assert all(delay <= 0.08 for at, delay in delays if at >= 2.0 + length_s + 2.0)
    assert speaker.numbers == sorted(set(speaker.numbers))


def test_much_delay_is_taken_back_faster_than_a_little(speaker: Speaker) -> None:
    speaker.plays(burst(0.3), until=5.0)
    assert {Pace.FASTEST, Pace.FASTER} <= set(speaker.paces)


def test_a_network_that_grows_uneven_is_given_more_delay_before_it_loses_sound(speaker: Speaker) -> None:
    chance = random.Random(5)
    uneven = [
        packet(number, at=BEGIN_S + number * PACKET_S + chance.uniform(0, 0.05)) for number in range(100, 600)
    ]
    speaker.plays([*stream(0, 99), *uneven], until=12.0)
    assert 0.04 < speaker.playout.report.target_s <= 0.06
    assert len(speaker.numbers) > 590


def test_a_longer_wait_is_made_by_playing_slower(speaker: Speaker) -> None:
    """The first losses show that copies are worth waiting for."""
    speaker.plays(without(stream(0, 400, mends=True), *range(200, 400, 10)), until=8.0)
    assert Pace.SLOWER in speaker.paces
    assert speaker.playout.report.slowed > 0


def test_the_target_is_bounded_however_uneven_the_network(speaker: Speaker) -> None:
    chance = random.Random(6)
    speaker.plays(
        [packet(number, at=BEGIN_S + number * PACKET_S + chance.uniform(0, 0.6)) for number in range(300)],
        until=6.0,
    )
    assert speaker.playout.report.target_s == MAX_TARGET_S


def test_a_slower_route_is_the_new_measure_two_seconds_later(speaker: Speaker) -> None:
    arrivals = [*stream(0, 99), *stream(100, 600, late=0.2)]
    speaker.plays(arrivals, until=12.0)
    assert speaker.playout.report.delay_s < MIN_TARGET_S + 0.012


def test_a_speaker_that_paused_is_followed_again_at_once(speaker: Speaker) -> None:
    speaker.plays(stream(0, 99), until=2.0)
    speaker.at = 2.4
    speaker.plays(stream(100, 400), until=8.0)
    delays = [at - step.arrived_at for at, step in speaker.heard if isinstance(step, Decode) and at > 4.4]
    assert max(delays) <= 0.08


def test_more_than_so_many_packets_never_wait(speaker: Speaker) -> None:
    for arrived in stream(0, 3 * MAX_WAITING):
        speaker.playout.receive(arrived)
        assert speaker.playout.report.depth_s <= MAX_WAITING * PACKET_S
    assert speaker.playout.report.skipped == 2 * MAX_WAITING + 1
    speaker.at = 10.0
    speaker.pulls(5)
    assert speaker.numbers[0] >= 2 * MAX_WAITING


# -- the sender's own silence


def dtx(*, gap: int, after: int = 30) -> list[Arrived]:
    """A voice, a packet of DTX, *gap* packets of nothing, and the voice again; no sequence number is missing."""
    spoken = stream(0, after - 1)
    still = packet(after, at=BEGIN_S + after * PACKET_S, payload=quiet())
    again = [
        Arrived(
            SSRC,
            after + 1 + number,
            (after + 1 + gap + number) * STEP,
            BEGIN_S + (after + 1 + gap + number) * PACKET_S,
            packet(after + 1 + number, at=0).payload,
        )
        for number in range(30)
    ]
    return [*spoken, still, *again]


def test_a_sender_gone_quiet_is_comfort_noise_and_no_loss(speaker: Speaker) -> None:
    speaker.plays(dtx(gap=20), until=1.6)
    assert sum(step.samples for step in speaker.steps if isinstance(step, Comfort)) >= 19 * STEP
    assert not [step for step in speaker.steps if isinstance(step, Conceal) and step.after == 0][1:]
    report = speaker.playout.report
    assert (report.lost, report.silent) == (0, 0)
    assert delay_of(speaker, 50) == pytest.approx(delay_of(speaker, 29), abs=0.012)


def test_a_muted_track_is_silence_and_no_loss(speaker: Speaker) -> None:
    """aiortc's sender counts its time stamps on while nothing is sent."""
    arrivals = [arrived for arrived in dtx(gap=3) if len(arrived.payload) > 2]
    arrivals = [
        Arrived(SSRC, arrived.sequence - (arrived.sequence > 30), arrived.timestamp, arrived.at, arrived.payload)
        for arrived in arrivals
    ]
    speaker.plays(arrivals, until=1.4)
    assert speaker.playout.report.lost == 0


def test_delay_is_taken_back_in_the_senders_silence(speaker: Speaker) -> None:
    speaker.stretches = False
    late = [
        Arrived(
            arrived.ssrc, arrived.sequence, arrived.timestamp, arrived.at if number < 10 else 0.65, arrived.payload
        )
        if number <= 30
        else arrived
        for number, arrived in enumerate(dtx(gap=40))
    ]
    speaker.plays(late, until=2.2)
    assert speaker.playout.report.accelerated > 0


# -- a new beginning


def test_after_a_stall_the_first_packet_waits_again(speaker: Speaker) -> None:
    speaker.plays([*stream(0, 29), *stream(200, 240)], until=5.0)
    at = next(at for at, step in speaker.heard if isinstance(step, Decode) and number_of(step) == 200)
    assert START_S <= at - (BEGIN_S + 200 * PACKET_S) <= START_S + PACKET_S
    assert STALL_S < 3.0


def test_a_sender_whose_clock_stood_still_meanwhile_is_played(speaker: Speaker) -> None:
    again = [packet(number, at=2.5 + number * PACKET_S) for number in range(30, 90)]
    speaker.plays([*stream(0, 29), *again], until=5.0)
    assert speaker.numbers[-1] > 80
    assert speaker.playout.report.delay_s < 0.08


@pytest.mark.parametrize("skew", [1_000_000, -1_000_000, 1 << 31])
def test_time_stamps_that_jump_begin_a_new_stream(speaker: Speaker, skew: int) -> None:
    speaker.plays([*stream(0, 29), *stream(30, 90, skew=skew)], until=2.0)
    assert speaker.numbers[-1] > 80
    assert speaker.playout.report.restarts == 1


def test_another_ssrc_begins_a_new_stream_with_a_fresh_decoder(speaker: Speaker) -> None:
    other = [packet(number, at=BEGIN_S + (30 + number) * PACKET_S, ssrc=SSRC + 1) for number in range(60)]
    speaker.plays([*stream(0, 29), *other], until=2.0)
    fresh = [number_of(step) for step in speaker.steps if isinstance(step, Decode) and step.fresh]
    assert fresh == [0, 0]
    assert speaker.numbers[-1] > 50
    assert speaker.playout.report.restarts == 1


def test_a_very_old_packet_begins_nothing(speaker: Speaker) -> None:
    speaker.plays([*without(stream(0, 190), 3), packet(3, at=3.5)], until=3.8)
    report = speaker.playout.report
    assert (report.restarts, report.late) == (0, 1)


def test_a_skip_is_told_so_that_its_seam_can_be_faded(speaker: Speaker) -> None:
    speaker.stretches = False
    speaker.plays(burst(0.45), until=7.0)
    assert speaker.playout.report.skipped > 0
    assert [step for step in speaker.steps if isinstance(step, Decode) and step.skipped]
