"""People have spoken with each other when both have been heard for long enough, and not before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.media.speech import SPEECH_DBFS, SPEECH_S, Direction, Speech, heard

VOICE, QUIET = -20.0, -60.0
BLOCK_S = 0.02


def test_nobody_has_spoken_at_first() -> None:
    assert not Speech().both_ways


@pytest.mark.parametrize("direction", ["from_bed", "from_seat"])
def test_one_voice_however_long_is_no_conversation(direction: Direction) -> None:
    assert not heard(Speech(), direction, dbfs=VOICE, seconds=3600.0).both_ways


def test_two_voices_are_a_conversation_when_each_has_been_heard_long_enough() -> None:
    speech = heard(Speech(), "from_bed", dbfs=VOICE, seconds=SPEECH_S)
    assert not heard(speech, "from_seat", dbfs=VOICE, seconds=SPEECH_S - BLOCK_S).both_ways
    assert heard(speech, "from_seat", dbfs=VOICE, seconds=SPEECH_S).both_ways


def test_each_direction_is_counted_by_itself() -> None:
    speech = heard(Speech(), "from_bed", dbfs=VOICE, seconds=0.5)
    speech = heard(speech, "from_seat", dbfs=VOICE, seconds=0.25)
    assert speech == Speech(from_bed=0.5, from_seat=0.25)


def test_a_quiet_room_is_not_a_voice() -> None:
    speech = Speech()
    for _ in range(1000):
        speech = heard(speech, "from_bed", dbfs=QUIET, seconds=BLOCK_S)
        speech = heard(speech, "from_seat", dbfs=float("-inf"), seconds=BLOCK_S)
    assert speech == Speech()


def test_a_voice_just_at_the_threshold_counts() -> None:
    assert heard(Speech(), "from_bed", dbfs=SPEECH_DBFS, seconds=BLOCK_S).from_bed == BLOCK_S
    assert heard(Speech(), "from_bed", dbfs=SPEECH_DBFS - 0.1, seconds=BLOCK_S).from_bed == 0


def test_pauses_between_words_take_nothing_away() -> None:
    speech = Speech()
    for dbfs in (VOICE, QUIET, VOICE, QUIET, VOICE):
        speech = heard(speech, "from_seat", dbfs=dbfs, seconds=0.25)
    assert speech.from_seat == 0.75


@given(
    st.lists(
        st.tuples(st.sampled_from(["from_bed", "from_seat"]), st.floats(-100, 0), st.floats(0, 1)), max_size=60
    )
)
def test_once_proved_a_conversation_stays_proved(blocks: list[tuple[Direction, float, float]]) -> None:
    speech = Speech()
    for direction, dbfs, seconds in blocks:
        before, speech = speech, heard(speech, direction, dbfs=dbfs, seconds=seconds)
        assert speech.both_ways >= before.both_ways
