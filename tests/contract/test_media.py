"""A call's media between two real aiortc peers on loopback: silent before the accept, whole after it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator

import av
import pytest

from kiosk.errors import HardwareFault, MediaError
from kiosk.hardware.camera import Camera, OnFault, OnFrame
from kiosk.hardware.levels import dominant_tone
from kiosk.hardware.microphone import SAMPLE_RATE, Microphone, ToneMicrophone
from kiosk.hardware.moving_picture import MovingPicture, read_code
from kiosk.hardware.sound import BLOCK_S
from kiosk.hardware.speaker import SimulatedSpeaker
from kiosk.media.answering_peer import AnsweringPeer, luma_of
from kiosk.media.call_devices import CallDevices, DeviceEvent, DeviceFault
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.session import (
    MediaConnected,
    MediaEvent,
    MediaFailed,
    MediaSession,
    RemoteAudioStarted,
    RemoteVideoStarted,
    SpokenBothWays,
)
from kiosk.media.stages import Stage, Took, nobody
from kiosk.signaling.messages import CallType, FaultKind
from tests.sockets import open_sockets
from tests.waiting import HANG_S, until

BED_HZ, SEAT_HZ = 440.0, 660.0


class Bed:
    """A session, its devices, and what they told."""

    def __init__(
        self,
        *,
        call_type: CallType = CallType.VIDEO,
        camera: Camera | None = None,
        microphone: Microphone | None = None,
        took: Took = nobody,
    ) -> None:
        self.speaker = SimulatedSpeaker()
        self.events: list[MediaEvent | DeviceEvent] = []
        self.changed = asyncio.Event()
        self.pictures: list[av.VideoFrame] = []
        self.devices = CallDevices(
            camera=camera, microphone=microphone, speaker=self.speaker, tell=self._told, took=took
        )
        self.devices.open(video=call_type is CallType.VIDEO)
        self.session = MediaSession(
            call_type=call_type,
            devices=self.devices,
            ice_servers=(),
            on_event=self._told,
            log_id="test",
            picture=self.pictures.append,
            took=took,
        )

    async def closes(self) -> None:
        await asyncio.gather(self.session.close(), self.devices.close())

    def _told(self, event: MediaEvent | DeviceEvent) -> None:
        self.events.append(event)
        self.changed.set()

    async def tells(self, kind: type[MediaEvent | DeviceEvent]) -> MediaEvent | DeviceEvent:
        async with asyncio.timeout(HANG_S):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        return event
                self.changed.clear()
                await self.changed.wait()


def picture(vanish_after: int | None = None) -> MovingPicture:
    return MovingPicture(width=640, height=360, fps=30, vanish_after=vanish_after)


@pytest.fixture(autouse=True)
def loopback() -> None:
    prepare_media([LOOPBACK])


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [
        thread.name
        for thread in set(threading.enumerate()) - before
        if thread.is_alive() and not thread.name.startswith("asyncio_")
    ]
    assert not left


@pytest.fixture
async def seat() -> AsyncIterator[AnsweringPeer]:
    peer = AnsweringPeer(hz=SEAT_HZ)
    yield peer
    await peer.close()


async def connect(bed: Bed, seat: AnsweringPeer) -> None:
    await bed.session.answer(await seat.answer(await bed.session.offer()))
    await bed.tells(MediaConnected)
    async with asyncio.timeout(HANG_S):
        await seat.connected.wait()


async def test_nothing_leaves_the_bed_before_the_gate_opens_and_everything_after(seat: AnsweringPeer) -> None:
    bed = Bed(camera=picture(), microphone=ToneMicrophone(BED_HZ))
    await connect(bed, seat)
    # Both directions are connected and both devices run: half a second in which something could leak.
    leak = asyncio.create_task(asyncio.wait_for(_first(seat), 0.5))
    with pytest.raises(TimeoutError):
        await leak
    assert await _packets_received(seat) == 0

    bed.session.open_gate()
    seat.accept()
    async with asyncio.timeout(HANG_S):
        await seat.coded.wait()
        await seat.enough_sound.wait()
    await bed.tells(RemoteAudioStarted)
    await bed.tells(RemoteVideoStarted)
    assert dominant_tone(seat.sound(), SAMPLE_RATE)[0] == pytest.approx(BED_HZ, abs=5)
    await bed.tells(SpokenBothWays)
    await until(lambda: len(bed.speaker.recent()) == SAMPLE_RATE)
    # A busy machine leaves gaps in the sound, and a second with a gap in it is no clear tone.
    await until(lambda: abs(dominant_tone(bed.speaker.recent(), SAMPLE_RATE)[0] - SEAT_HZ) < 5)
    assert any(read_code(luma_of(frame)) is not None for frame in bed.pictures)
    await bed.closes()
    await bed.closes()


async def test_how_long_each_stage_of_pictures_and_sound_took_is_told(seat: AnsweringPeer) -> None:
    told: dict[Stage, list[float]] = {stage: [] for stage in Stage}
    bed = Bed(
        camera=picture(),
        microphone=ToneMicrophone(BED_HZ),
        took=lambda stage, seconds: told[stage].append(seconds),
    )
    await connect(bed, seat)
    await until(lambda: len(told[Stage.SOUND_PROCESSED]) > 5)
    assert not told[Stage.PICTURE_ENCODED], "nothing is encoded behind a closed gate"
    bed.session.open_gate()
    seat.accept()
    await until(lambda: all(len(times) > 5 for times in told.values()), str(told))
    assert min(min(times) for times in told.values()) >= 0
    assert min(told[Stage.SOUND_PROCESSED]) >= BLOCK_S, "from a block's first sample on"
    await bed.closes()


async def _first(seat: AnsweringPeer) -> None:
    done, pending = await asyncio.wait(
        [asyncio.create_task(seat.audible.wait()), asyncio.create_task(seat.visible.wait())],
        return_when=asyncio.FIRST_COMPLETED,
    )
    assert done or pending


async def _packets_received(seat: AnsweringPeer) -> int:
    report = await seat._pc.getStats()
    return sum(stats.packetsReceived for stats in report.values() if stats.type == "inbound-rtp")


async def test_an_audio_call_opens_no_camera(seat: AnsweringPeer) -> None:
    class Forbidden(MovingPicture):
        def open(self, on_frame: OnFrame, on_fault: OnFault) -> None:
            raise AssertionError("the camera was opened")

    camera = Forbidden(width=640, height=360, fps=30)
    bed = Bed(call_type=CallType.AUDIO, camera=camera, microphone=ToneMicrophone(BED_HZ))
    await connect(bed, seat)
    bed.session.open_gate()
    seat.accept()
    async with asyncio.timeout(HANG_S):
        await seat.audible.wait()
    assert not seat.visible.is_set()
    await bed.closes()


class Missing(MovingPicture):
    def open(self, on_frame: OnFrame, on_fault: OnFault) -> None:
        raise HardwareFault("camera /dev/video0: cannot be opened")


async def test_a_missing_camera_is_told_and_the_call_goes_on(seat: AnsweringPeer) -> None:
    bed = Bed(camera=Missing(width=640, height=360, fps=30), microphone=ToneMicrophone(BED_HZ))
    await connect(bed, seat)
    fault = await bed.tells(DeviceFault)
    assert fault == DeviceFault("camera", "camera /dev/video0: cannot be opened", FaultKind.MISSING)
    bed.session.open_gate()
    async with asyncio.timeout(HANG_S):
        await seat.audible.wait()
    await bed.closes()


async def test_without_a_microphone_silence_is_sent_so_that_the_clock_goes_on(seat: AnsweringPeer) -> None:
    bed = Bed(camera=picture())
    await connect(bed, seat)
    bed.session.open_gate()
    async with asyncio.timeout(HANG_S):
        await seat.visible.wait()
        await seat.heard_anything.wait()
    assert not seat.audible.is_set()
    await bed.closes()


async def test_a_camera_that_vanishes_is_told_and_the_sound_goes_on(seat: AnsweringPeer) -> None:
    bed = Bed(camera=picture(vanish_after=30), microphone=ToneMicrophone(BED_HZ))
    await connect(bed, seat)
    bed.session.open_gate()
    fault = await bed.tells(DeviceFault)
    assert isinstance(fault, DeviceFault)
    assert fault.device == "camera"
    async with asyncio.timeout(HANG_S):
        await seat.enough_sound.wait()
    await bed.closes()


async def test_candidates_may_come_before_the_answer(seat: AnsweringPeer) -> None:
    bed = Bed(microphone=ToneMicrophone(BED_HZ))
    answer = await seat.answer(await bed.session.offer())
    lines = answer.splitlines(keepends=True)
    for line in lines:
        if line.startswith("a=candidate:"):
            await bed.session.candidate(line.removeprefix("a=").strip(), "0", 0)
    await bed.session.candidate("", None, None)
    await bed.session.answer("".join(line for line in lines if "candidate" not in line))
    await bed.tells(MediaConnected)
    await bed.closes()


@pytest.mark.parametrize(
    "sdp", ["v", "v=0\r\n", "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\n", "x" * 1_000_000, "v=0\r\nm=\r\n"]
)
async def test_a_garbage_answer_is_refused_in_words(sdp: str) -> None:
    bed = Bed(microphone=ToneMicrophone(BED_HZ))
    await bed.session.offer()
    with pytest.raises(MediaError, match="the answer"):
        await bed.session.answer(sdp)
    await bed.closes()


async def test_garbage_candidates_do_no_harm(seat: AnsweringPeer) -> None:
    bed = Bed(microphone=ToneMicrophone(BED_HZ))
    answer = await seat.answer(await bed.session.offer())
    for _ in range(100):
        await bed.session.candidate("candidate:nonsense", "0", 0)
    await bed.session.answer(answer)
    await bed.session.candidate("candidate:1 1 udp x y z typ host", "7", 9)
    await bed.tells(MediaConnected)
    await bed.closes()
    await bed.session.candidate("late", None, None)
    await bed.session.answer("late")


async def test_a_seat_that_closes_is_a_fault_only_after_its_farewell(seat: AnsweringPeer) -> None:
    bed = Bed(microphone=ToneMicrophone(BED_HZ))
    await connect(bed, seat)
    bed.session.open_gate()
    closed_at = time.monotonic()
    await seat.close()
    assert isinstance(await bed.tells(MediaFailed), MediaFailed)
    assert time.monotonic() - closed_at >= 1.0
    await bed.closes()


async def test_switching_to_audio_lets_the_camera_go(seat: AnsweringPeer) -> None:
    camera = picture()
    camera.name = "the bed's own camera"
    bed = Bed(camera=camera, microphone=ToneMicrophone(BED_HZ))
    await connect(bed, seat)
    bed.session.open_gate()
    async with asyncio.timeout(HANG_S):
        await seat.visible.wait()
    bed.session.switch_to_audio()
    bed.devices.let_camera_go()
    await until(lambda: all(thread.name != camera.name for thread in threading.enumerate()), "camera let go")
    frames = seat.frames
    async with asyncio.timeout(HANG_S):
        await seat.enough_sound.wait()
    assert seat.frames - frames < 30, "pictures stop; those on their way may still arrive"
    await bed.closes()


async def test_a_session_closed_during_its_offer_leaves_nothing() -> None:
    bed = Bed(camera=picture(), microphone=ToneMicrophone(BED_HZ))
    offering = asyncio.create_task(bed.session.offer())
    await asyncio.sleep(0)  # one turn of the loop: the offer has begun
    await bed.closes()
    await asyncio.gather(offering, return_exceptions=True)


@pytest.mark.parametrize("turns", range(1, 12))
async def test_a_bare_session_closed_at_any_turn_of_its_offer_leaves_no_socket(turns: int) -> None:
    session = MediaSession(
        call_type=CallType.AUDIO,
        devices=CallDevices(camera=None, microphone=None, speaker=None, tell=lambda event: None),
        ice_servers=(),
        on_event=lambda event: None,
        log_id="test",
    )
    before = open_sockets()
    offering = asyncio.create_task(session.offer())
    for _ in range(turns):
        await asyncio.sleep(0)  # one turn of the loop
    await session.close()
    await asyncio.gather(offering, return_exceptions=True)
    await until(lambda: open_sockets() == before, "every socket is closed")
