"""The voice that is sent, by the real libopus: its rate, its copies against loss, and its way through a call."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from kiosk.errors import MediaError
from kiosk.hardware.levels import dominant_tone
from kiosk.hardware.microphone import SAMPLE_FILE, SampleMicrophone, ToneMicrophone
from kiosk.hardware.sound import BLOCK_SAMPLES, SAMPLE_RATE, Block
from kiosk.media import opus_sender
from kiosk.media.answering_peer import AnsweringPeer
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.opus_library import LibraryDecoder
from kiosk.media.opus_packet import inspect
from kiosk.media.opus_sender import OpusSender, PlainSender, VoiceEncoder, new_sender
from kiosk.media.sent_voice import Protection
from kiosk.media.session import MediaConnected, MediaSession
from kiosk.signaling.messages import CallType
from tests.contract.test_media import Bed
from tests.waiting import HANG_S, until

SECONDS = 4


def speech() -> list[Block]:
    voice = SampleMicrophone(SAMPLE_FILE)
    return [voice._block(number) for number in range(SECONDS * 50)]


def sent(sender: VoiceEncoder) -> list[bytes]:
    return [sender.encode(block) for block in speech()]


def kbit_s(packets: list[bytes]) -> float:
    return sum(map(len, packets)) * 8 / 1000 / SECONDS


def test_speech_takes_the_bits_of_speech_and_no_more() -> None:
    packets = sent(OpusSender())
    assert 20 <= kbit_s(packets) <= 30
    looked_at = [inspect(packet) for packet in packets]
    assert all(packet is not None and packet.samples == BLOCK_SAMPLES for packet in looked_at)
    assert sum(packet is not None and packet.mends for packet in looked_at) > len(packets) // 3


def test_a_lost_packet_is_mended_from_the_copy_in_the_next_better_than_made_up() -> None:
    sender = OpusSender()
    sender.protect(Protection(20.0))
    packets, blocks = sent(sender), speech()
    mended, made_up = decoded_with_losses(packets, mends=True), decoded_with_losses(packets, mends=False)
    original = np.concatenate(blocks)
    whole = decoded_with_losses(packets, mends=True, every=0)
    assert len(whole) == len(original)
    lost = np.concatenate([whole[at : at + BLOCK_SAMPLES] for at in places()])
    errors = [
        float(np.mean(np.square(np.concatenate([sound[at : at + BLOCK_SAMPLES] for at in places()]) - lost)))
        for sound in (mended, made_up)
    ]
    assert errors[0] < 0.5 * errors[1]


def places() -> list[int]:
    return [number * BLOCK_SAMPLES for number in range(SECONDS * 50 - 1) if number % 10 == 5]


def decoded_with_losses(packets: list[bytes], *, mends: bool, every: int = 10) -> NDArray[np.float64]:
    decoder = LibraryDecoder()
    parts: list[Block] = []
    for number, packet in enumerate(packets):
        if every and number % every == 5 and number + 1 < len(packets):
            following = packets[number + 1]
            parts.append(decoder.mend(following, BLOCK_SAMPLES) if mends else decoder.conceal(BLOCK_SAMPLES))
        else:
            parts.append(decoder.decode(packet))
    return np.concatenate(parts).astype(np.float64)


def test_the_protection_changes_while_it_runs() -> None:
    sender = OpusSender()
    calm = sent(sender)
    sender.protect(Protection(30.0))
    rough = sent(sender)
    assert kbit_s(rough) > kbit_s(calm) + 2


def test_a_block_of_a_wrong_length_is_refused_in_words() -> None:
    with pytest.raises(MediaError, match="961 samples cannot be encoded"):
        OpusSender().encode(np.zeros(961, np.int16))


def test_without_libopus_the_plain_encoder_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise MediaError("libopus.so.0 cannot be loaded")

    monkeypatch.setattr(opus_sender, "_library", missing)
    packets = sent(new_sender())
    assert 20 <= kbit_s(packets) <= 36
    assert sum(looked.mends for looked in map(inspect, packets) if looked is not None) > len(packets) // 3


@pytest.fixture
def loopback() -> None:
    prepare_media([LOOPBACK])


@pytest.mark.parametrize("library", ["libopus", "none"])
async def test_the_seat_hears_the_bed(loopback: None, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if library == "none":
        monkeypatch.setattr("kiosk.media.voice_source.new_sender", PlainSender)
    seat = AnsweringPeer(hz=660.0)
    bed = await talking(seat)
    async with asyncio.timeout(HANG_S):
        await seat.enough_sound.wait()
    assert dominant_tone(seat.sound(), SAMPLE_RATE)[0] == pytest.approx(440.0, abs=5)
    await bed.closes()
    await seat.close()


async def test_what_the_seat_reports_as_lost_strengthens_the_protection(
    loopback: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat = AnsweringPeer(hz=660.0)
    bed = await talking(seat)
    bed.session.watch(peer_sends=True)
    # Every fourth packet never leaves: the seat's own counting and reporting does the rest.
    numbers = iter(range(10**9))
    transport = bed.session._pc.getSenders()[0].transport
    sends = transport._send_rtp

    async def loses(data: bytes) -> None:
        is_sound = not 192 <= data[1] <= 223
        if not is_sound or next(numbers) % 4:
            await sends(data)

    monkeypatch.setattr(transport, "_send_rtp", loses)
    await until(lambda: protection(bed.session).expected >= 15, "the loss is heeded")
    assert protection(bed.session).bit_rate > Protection().bit_rate
    await bed.closes()
    await seat.close()


def protection(session: MediaSession) -> Protection:
    return session._protection


async def talking(seat: AnsweringPeer) -> Bed:
    bed = Bed(call_type=CallType.AUDIO, microphone=ToneMicrophone(440.0))
    await bed.session.answer(await seat.answer(await bed.session.offer()))
    await bed.tells(MediaConnected)
    bed.session.open_gate()
    seat.accept()
    return bed
