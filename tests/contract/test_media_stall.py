"""A dead path between two real aiortc peers, made by the simulated loss; and devices that fail and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import aioice.ice
import pytest

from kiosk.errors import HardwareFault
from kiosk.hardware.microphone import Microphone, OnBlock, OnFault, ToneMicrophone
from kiosk.hardware.sound import Block
from kiosk.hardware.speaker import SimulatedSpeaker
from kiosk.media.answering_peer import AnsweringPeer
from kiosk.media.call_devices import CallDevices, DeviceEvent, DeviceFault, DeviceOpened
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.received_sound import ReceivedSound
from kiosk.media.session import MediaConnected, MediaEvent, MediaSession, MediaStalled, RemoteAudioStarted
from kiosk.media.simulated_loss import SimulatedLoss
from kiosk.signaling.messages import CallType, FaultKind
from tests.waiting import HANG_S, until


@pytest.fixture
def loss(monkeypatch: pytest.MonkeyPatch) -> SimulatedLoss:
    """Stands between aioice and its sockets until the test ends."""
    prepare_media([LOOPBACK])
    for name in ("datagram_received", "send_data", "send_stun"):
        monkeypatch.setattr(aioice.ice.StunProtocol, name, getattr(aioice.ice.StunProtocol, name))
    loss = SimulatedLoss()
    loss.install()
    return loss


class Talk:
    """A bed and a seat that speak with each other by sound."""

    def __init__(self) -> None:
        self.events: list[MediaEvent] = []
        self.devices = CallDevices(
            camera=None, microphone=ToneMicrophone(440.0), speaker=SimulatedSpeaker(), tell=lambda event: None
        )
        self.devices.open(video=False)
        self.seat = AnsweringPeer(hz=660.0)
        self.session = self.new_session()

    def new_session(self) -> MediaSession:
        return MediaSession(
            call_type=CallType.AUDIO,
            devices=self.devices,
            ice_servers=(),
            on_event=self.events.append,
            log_id="test",
        )

    async def connects(self) -> None:
        await self.session.answer(await self.seat.answer(await self.session.offer()))
        await until(lambda: MediaConnected() in self.events, "connected")
        self.session.open_gate()

    def stalls(self) -> int:
        return sum(isinstance(event, MediaStalled) for event in self.events)

    async def rebuilt(self) -> None:
        """Both ends give the connection up and make a new one; the devices stay open."""
        await asyncio.gather(self.session.close(), self.seat.close())
        self.events.clear()
        self.seat, self.session = AnsweringPeer(hz=660.0), self.new_session()
        await self.connects()

    async def closes(self) -> None:
        await asyncio.gather(self.session.close(), self.devices.close(), self.seat.close())


@pytest.fixture
async def talk(loss: SimulatedLoss) -> AsyncIterator[Talk]:
    talk = Talk()
    await talk.connects()
    yield talk
    loss.let_pass()
    await talk.closes()


async def test_a_path_that_dies_is_told_once(talk: Talk, loss: SimulatedLoss) -> None:
    talk.seat.accept()
    talk.session.watch(peer_sends=True)
    loss.stall("in", HANG_S)
    await until(lambda: talk.stalls() > 0, "the stall is told")
    assert [event for event in talk.events if isinstance(event, MediaStalled)] == [
        MediaStalled("nothing has arrived from the seat for 2.5 s")
    ]


async def test_a_rebuilt_connection_carries_sound_from_the_same_open_microphone(
    talk: Talk, loss: SimulatedLoss
) -> None:
    talk.seat.accept()
    talk.session.watch(peer_sends=True)
    loss.stall("both", HANG_S)
    await until(lambda: talk.stalls() > 0, "the stall is told")
    loss.let_pass()
    await talk.rebuilt()
    async with asyncio.timeout(HANG_S):
        await talk.seat.audible.wait()


async def test_sound_that_cannot_be_played_is_told_and_a_rebuilt_connection_plays_it(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: ReceivedSound, *, at: float) -> Block:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(ReceivedSound, "pull", broken)
        talk.seat.accept()
        talk.session.watch(peer_sends=True)
        await until(lambda: talk.stalls() > 0, "it is told")
        assert MediaStalled("what the seat says cannot be played") in talk.events
    await talk.rebuilt()
    talk.seat.accept()
    await until(lambda: RemoteAudioStarted() in talk.events, "the seat is heard")


async def test_a_stalled_path_does_not_keep_a_session_from_closing(talk: Talk, loss: SimulatedLoss) -> None:
    talk.session.watch(peer_sends=True)
    loss.stall("both", HANG_S)
    async with asyncio.timeout(HANG_S):
        await talk.session.close()


async def test_only_the_lost_direction_is_lost(loss: SimulatedLoss) -> None:
    loss.stall("out", HANG_S)
    assert (loss.loses("out"), loss.loses("in")) == (True, False)
    loss.let_pass()
    loss.stall("in", 0.0)
    assert (loss.loses("out"), loss.loses("in")) == (False, False)


# -- devices


class Flaky(Microphone):
    """A microphone that is pulled and plugged by the test."""

    name = "flaky"

    def __init__(self) -> None:
        self.plugged = True
        self.opened = 0
        self.held = 0
        self._fault: OnFault = lambda words: None

    def open(self, on_block: OnBlock, on_fault: OnFault) -> None:
        if not self.plugged:
            raise HardwareFault("microphone flaky: none found")
        assert self.held == 0, "opened before its last closing had ended"
        self.opened += 1
        self.held += 1
        self._fault = on_fault

    def close(self) -> None:
        self.held = 0

    def is_pulled(self) -> None:
        self.plugged = False
        self._fault("microphone flaky: unplugged")


class Kept:
    """The devices of calls, and what they told."""

    def __init__(self, microphone: Microphone) -> None:
        self.events: list[DeviceEvent] = []
        self.devices = CallDevices(
            camera=None, microphone=microphone, speaker=None, tell=self.events.append, reopen_s=0.01
        )


async def test_a_device_that_comes_back_is_opened_again_and_both_are_told() -> None:
    microphone = Flaky()
    kept = Kept(microphone)
    kept.devices.open(video=True)
    await until(lambda: len(kept.events) == 1)
    microphone.is_pulled()
    await until(lambda: len(kept.events) == 3, "gone, and not to be found")
    microphone.plugged = True
    await until(lambda: len(kept.events) == 4, "opened again")
    assert kept.events == [
        DeviceOpened("microphone"),
        DeviceFault("microphone", "microphone flaky: unplugged", FaultKind.FAILED),
        DeviceFault("microphone", "microphone flaky: none found", FaultKind.MISSING),
        DeviceOpened("microphone"),
    ]
    await kept.devices.close()
    assert (microphone.held, microphone.opened) == (0, 2)


async def test_a_call_that_follows_at_once_gets_its_devices() -> None:
    """The last call's closing must not take away what the next one has opened."""
    microphone = Flaky()
    kept = Kept(microphone)
    kept.devices.open(video=True)
    await until(lambda: microphone.held == 1, "open in the first call")
    kept.devices.stop()
    kept.devices.open(video=True)
    await until(lambda: microphone.opened == 2, "open in the second call")
    kept.devices.open(video=True)
    kept.devices.stop()
    kept.devices.open(video=True)
    await until(lambda: microphone.opened == 3, "what was held stays so, and what was let go is opened again")
    assert microphone.held == 1
    await kept.devices.close()
    assert microphone.held == 0


@pytest.fixture(autouse=True)
def unpatched() -> Iterator[None]:
    before = vars(aioice.ice.StunProtocol).copy()
    yield
    for name in ("datagram_received", "send_data", "send_stun"):
        assert vars(aioice.ice.StunProtocol)[name] is before[name], f"{name} was left patched"
