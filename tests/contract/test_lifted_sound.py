"""A quiet room that gain control lifts is no voice: only what was loud where it was heard counts as speech."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from kiosk.hardware.levels import rms_dbfs
from kiosk.hardware.microphone import ToneMicrophone
from kiosk.hardware.sound import BLOCK_SAMPLES, SAMPLE_RATE, Block
from kiosk.hardware.speaker import SimulatedSpeaker
from kiosk.media import speech
from kiosk.media.answering_peer import AnsweringPeer
from kiosk.media.call_devices import CallDevices
from kiosk.media.call_sound import CallSound
from kiosk.media.echo import NoEchoControl
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.session import MediaConnected, MediaEvent, MediaSession, SpokenBothWays
from kiosk.signaling.messages import CallType
from tests.waiting import HANG_S, until

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


# -- in a call


class Murmur(ToneMicrophone):
    """A patient's room that is quiet (-57 dBFS) until the patient speaks up."""

    def __init__(self) -> None:
        super().__init__(440.0, level=0.002)

    def speaks_up(self) -> None:
        self._level = 0.09


class Talk:
    """A bed whose sound is lifted tenfold, and a seat that speaks; both accepted."""

    def __init__(self) -> None:
        self.events: list[MediaEvent] = []
        self.microphone, self.speaker = Murmur(), SimulatedSpeaker()
        self.devices = CallDevices(
            camera=None,
            microphone=self.microphone,
            speaker=self.speaker,
            tell=lambda event: None,
            sound=CallSound(echo=Lifts(10)),
        )
        self.devices.open(video=False)
        self.seat = AnsweringPeer(hz=660.0)
        self.session = MediaSession(
            call_type=CallType.AUDIO,
            devices=self.devices,
            ice_servers=(),
            on_event=self.events.append,
            log_id="test",
        )

    async def begins(self) -> None:
        await self.session.answer(await self.seat.answer(await self.session.offer()))
        await until(lambda: MediaConnected() in self.events, "connected")
        self.session.open_gate()
        self.seat.accept()

    def seat_is_heard(self) -> bool:
        """For as long as it takes to count as speech."""
        recent = self.speaker.recent()
        blocks = [recent[begin : begin + BLOCK_SAMPLES] for begin in range(0, len(recent), BLOCK_SAMPLES)]
        return len(recent) >= speech.SPEECH_S * SAMPLE_RATE and all(
            rms_dbfs(block) > speech.SPEECH_DBFS for block in blocks
        )

    async def closes(self) -> None:
        await asyncio.gather(self.session.close(), self.devices.close(), self.seat.close())


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    prepare_media([LOOPBACK])
    talk = Talk()
    await talk.begins()
    yield talk
    await talk.closes()


async def test_a_quiet_room_that_the_seat_hears_well_is_no_talk_until_the_patient_speaks(talk: Talk) -> None:
    await until(talk.seat_is_heard, "the seat has spoken for long enough")
    async with asyncio.timeout(HANG_S):
        await talk.seat.enough_sound.wait()
    assert rms_dbfs(talk.seat.sound()) > speech.SPEECH_DBFS, "what the seat hears would count"
    assert SpokenBothWays() not in talk.events
    talk.microphone.speaks_up()
    await until(lambda: SpokenBothWays() in talk.events, "speech both ways")
