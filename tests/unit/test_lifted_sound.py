"""A quiet room that gain control lifts is no voice: only what was loud where it was heard counts as speech."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.hardware.levels import rms_dbfs
from kiosk.hardware.sound import BLOCK_SAMPLES, Block
from kiosk.media import speech
from kiosk.media.call_sound import CallSound
from kiosk.media.echo import NoEchoControl

QUIET: Block = np.full(BLOCK_SAMPLES // 2, 60, np.int16)
"""About -55 dBFS."""


class Lifts(NoEchoControl):
    """Gain control that makes everything so much louder, or quieter."""

    def __init__(self, times: float) -> None:
        self._times = times

    def captured(self, block: Block, *, delay_s: float) -> Block:
        return (block * self._times).astype(np.int16)


def test_what_was_lifted_is_told_and_taken_off_again() -> None:
    sound = CallSound(echo=Lifts(10))
    made = sound.captured(QUIET, 0.0)
    assert rms_dbfs(made) > speech.SPEECH_DBFS
    assert rms_dbfs(made) - sound.lifted_db == pytest.approx(rms_dbfs(QUIET), abs=0.5)
    assert (
        speech.heard(speech.Speech(), "from_bed", dbfs=rms_dbfs(made) - sound.lifted_db, seconds=2.0).from_bed == 0
    )


def test_an_echo_that_was_taken_out_does_not_count_as_loud() -> None:
    sound = CallSound(echo=Lifts(0.1))
    made = sound.captured(QUIET * 100, 0.0)
    assert sound.lifted_db == 0.0
    assert rms_dbfs(made) < rms_dbfs(QUIET * 100) - 15
