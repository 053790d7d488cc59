"""A real call between two aiortc peers whose datagrams are lost: the bed hears the seat without holes or delay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aioice.ice
import pytest

from kiosk.errors import MediaError
from kiosk.hardware.levels import dominant_tone
from kiosk.hardware.microphone import ToneMicrophone
from kiosk.hardware.sound import SAMPLE_RATE
from kiosk.hardware.speaker import SimulatedSpeaker
from kiosk.media.aiortc_private import Direction, lose_datagrams
from kiosk.media.answering_peer import AnsweringPeer
from kiosk.media.call_devices import CallDevices
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.playout_words import Report
from kiosk.media.session import MediaConnected, MediaEvent, MediaSession, SpokenBothWays
from kiosk.signaling.messages import CallType
from tests.waiting import HANG_S, until

BED_HZ, SEAT_HZ = 440.0, 660.0
EVERY = 20
"""One datagram in so many is lost: 5 %."""
ENOUGH_PACKETS = 150


class Losses:
    """Loses every so many-th datagram that arrives, once told to."""

    def __init__(self) -> None:
        self.every = 0
        self.outage = 0
        self._seen = 0

    def loses(self, direction: Direction) -> bool:
        if direction == "out":
            return False
        if self.outage > 0:
            self.outage -= 1
            return True
        self._seen += 1
        return bool(self.every) and self._seen % self.every == 0


class Talk:
    """A bed and a seat in an audio call, both accepted."""

    def __init__(self) -> None:
        self.events: list[MediaEvent] = []
        self.speaker = SimulatedSpeaker()
        self.devices = CallDevices(
            camera=None, microphone=ToneMicrophone(BED_HZ), speaker=self.speaker, tell=lambda event: None
        )
        self.devices.open(video=False)
        self.seat = AnsweringPeer(hz=SEAT_HZ)
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

    @property
    def report(self) -> Report:
        return self.session.received_sound or Report()

    async def closes(self) -> None:
        await asyncio.gather(self.session.close(), self.devices.close(), self.seat.close())


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> Losses:
    prepare_media([LOOPBACK])
    for name in ("datagram_received", "send_data", "send_stun"):
        monkeypatch.setattr(aioice.ice.StunProtocol, name, getattr(aioice.ice.StunProtocol, name))
    losses = Losses()
    lose_datagrams(losses.loses)
    return losses


@pytest.fixture
async def talk(losses: Losses) -> AsyncIterator[Talk]:
    talk = Talk()
    await talk.begins()
    yield talk
    await talk.closes()


async def silence_over_losses(talk: Talk) -> float:
    """The part of the next seconds, in which packets are lost, for which there was nothing to play."""
    before = talk.report
    await until(
        lambda: talk.report.received - before.received >= ENOUGH_PACKETS and talk.report.lost - before.lost >= 5,
        "some were lost",
    )
    after = talk.report
    assert after.concealed + after.mended > before.concealed + before.mended
    silent = after.silent - before.silent
    filled = after.concealed + after.mended - before.concealed - before.mended
    return silent / (after.decoded - before.decoded + filled + silent)


async def test_lost_packets_are_concealed_and_neither_silence_nor_delay_comes_of_them(
    talk: Talk, losses: Losses
) -> None:
    await until(lambda: talk.report.received > 10, "sound comes")
    losses.every = EVERY
    async with asyncio.timeout(HANG_S):
        # A busy machine holds the seat up as well, which is in this process: then nothing is there to be played.
        while await silence_over_losses(talk) > 0.02:
            pass
    losses.every = 0
    await until(
        lambda: abs(dominant_tone(talk.speaker.recent(), SAMPLE_RATE)[0] - SEAT_HZ) < 10, "the seat's tone is heard"
    )


async def test_after_an_outage_sound_goes_on(talk: Talk, losses: Losses) -> None:
    await until(lambda: talk.report.received > 50, "sound comes")
    losses.outage = 30
    await until(lambda: talk.report.lost > 0, "the outage is over")
    received = talk.report.received
    await until(lambda: talk.report.received > received + 50, "sound comes again")
    assert dominant_tone(talk.speaker.recent()[-SAMPLE_RATE // 4 :], SAMPLE_RATE)[0] == pytest.approx(
        SEAT_HZ, abs=20
    )


async def test_the_reports_to_the_seat_count_what_is_lost_and_speech_is_noticed(talk: Talk, losses: Losses) -> None:
    losses.every = EVERY
    await until(lambda: talk.report.lost >= 3, "some were lost")
    await until(lambda: SpokenBothWays() in talk.events, "speech both ways")
    stats = await talk.session._pc.getStats()
    (inbound,) = (entry for entry in stats.values() if entry.type == "inbound-rtp")
    assert inbound.packetsReceived >= talk.report.received - 5
    assert inbound.packetsLost > 0


async def test_in_band_fec_is_asked_for_and_nothing_but_opus_is_offered(losses: Losses) -> None:
    talk = Talk()
    sdp = await talk.session.offer()
    (audio,) = (line.split() for line in sdp.splitlines() if line.startswith("m=audio"))
    (payload_type,) = audio[3:]
    assert f"a=rtpmap:{payload_type} opus/48000/2" in sdp.splitlines()
    assert f"a=fmtp:{payload_type} minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0" in sdp.splitlines()
    await talk.closes()


async def test_a_seat_without_opus_is_refused_in_words(losses: Losses) -> None:
    talk = Talk()
    answer = await talk.seat.answer(await talk.session.offer())
    with pytest.raises(MediaError, match="the answer cannot be used"):
        await talk.session.answer(answer.replace("opus/48000/2", "PCMU/8000"))
    await talk.closes()
