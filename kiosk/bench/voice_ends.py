"""The bed's end of a call of two voices: ours, and plain aiortc as everybody writes it first.

Both have a spoken sample at the microphone and a loudspeaker at its real pace, and both are recorded there: what
was said and what was heard, with the time of each block. Chromium is the other end (:mod:`kiosk.bench.seat_voice`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from kiosk.bench.alignment import Recording, recording
from kiosk.bench.plain_call import aiortcs_own_buffer
from kiosk.hardware.microphone import SampleMicrophone
from kiosk.hardware.sound import BLOCK_S, Block
from kiosk.hardware.speaker import SimulatedSpeaker
from kiosk.media.call_devices import CallDevices
from kiosk.media.call_sound import CallSound
from kiosk.media.opus_decoder import mono
from kiosk.media.playout_words import Report
from kiosk.media.session import MediaConnected, MediaEvent, MediaSession
from kiosk.media.stages import Stage
from kiosk.media.tracks import Gate, GatedAudioTrack
from kiosk.signaling.messages import CallType

CONNECT_TIMEOUT_S = 15.0

Answer = Callable[[str], Awaitable[str]]
"""Takes an offer to the far end and brings its answer."""


@dataclass
class Kept:
    """What passed the microphone and the loudspeaker. Appended to on their threads."""

    spoken: list[tuple[float, Block]] = field(default_factory=list)
    played: list[tuple[float, Block]] = field(default_factory=list)

    def speak(self, block: Block, age_s: float) -> None:
        """*block* comes from the microphone; its first sample was at the mouth *age_s* ago."""
        self.spoken.append((time.time() - age_s, block.copy()))

    def play(self, block: Block, delay_s: float) -> None:
        """*block* is at the ear in *delay_s*."""
        self.played.append((time.time() + delay_s, block))

    @property
    def said(self) -> Recording:
        """What was said at the bed."""
        return recording(self.spoken[:])

    @property
    def heard(self) -> Recording:
        """What was heard at the bed."""
        return recording(self.played[:])


class KeptSound(CallSound):
    """The call's sound as it is, and kept."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = Kept()

    def captured(self, block: Block, delay_s: float) -> Block:
        """See :class:`CallSound`."""
        self.kept.speak(block, delay_s)
        return super().captured(block, delay_s)

    def played(self, block: Block, delay_s: float) -> None:
        """See :class:`CallSound`."""
        self.kept.play(block, delay_s)
        super().played(block, delay_s)


@dataclass
class End:
    """A bed's end that talks. ``report``: what its playout has counted; None for aiortc's.

    ``added_ms``: how long each packet waited at the bed until it was played, with the time it was.
    """

    kept: Kept
    report: Callable[[], Report | None]
    added_ms: Sequence[tuple[float, float]] = ()


async def ours(answer: Answer, stack: AsyncExitStack) -> End:
    """The bed's own session, with its sent voice and its playout. Ends with *stack*."""
    sound = KeptSound()
    devices = CallDevices(
        camera=None,
        microphone=SampleMicrophone(),
        speaker=SimulatedSpeaker(),
        tell=lambda event: None,
        sound=sound,
    )
    stack.push_async_callback(devices.close)
    devices.open(video=False)
    connected = asyncio.Event()
    added_ms: list[tuple[float, float]] = []

    def took(stage: Stage, seconds: float) -> None:
        if stage is Stage.SOUND_PLAYED:
            added_ms.append((time.time(), seconds * 1000))

    def told(event: MediaEvent) -> None:
        if isinstance(event, MediaConnected):
            connected.set()

    session = MediaSession(
        call_type=CallType.AUDIO, devices=devices, ice_servers=(), on_event=told, log_id="voice", took=took
    )
    stack.push_async_callback(session.close)
    await session.answer(await answer(await session.offer()))
    await asyncio.wait_for(connected.wait(), CONNECT_TIMEOUT_S)
    session.open_gate()
    session.watch(peer_sends=True)
    return End(sound.kept, lambda: session.received_sound, added_ms)


async def aiortcs(answer: Answer, stack: AsyncExitStack) -> End:
    """aiortc's own encoder and its own buffer, whose frames go to the loudspeaker as they come."""
    kept = Kept()
    microphone, speaker = SampleMicrophone(), SimulatedSpeaker()
    gate = Gate()
    sound = GatedAudioTrack(gate)
    speaker.played = kept.play

    def spoken(block: Block) -> None:
        kept.speak(block, BLOCK_S)
        sound.deliver(block)

    connected = asyncio.Event()
    listening: list[asyncio.Task[None]] = []

    async def listen(track: Any) -> None:
        try:
            while True:
                speaker.play(mono(await track.recv()))
        except MediaStreamError:
            return

    async def listened() -> None:
        await asyncio.gather(*listening)

    stack.push_async_callback(listened)
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    stack.push_async_callback(pc.close)
    pc.on("track", lambda track: listening.append(asyncio.create_task(listen(track))))
    pc.on("connectionstatechange", lambda: connected.set() if pc.connectionState == "connected" else None)
    with aiortcs_own_buffer():
        pc.addTrack(sound)
    speaker.open(lambda why: None)
    stack.push_async_callback(asyncio.to_thread, speaker.close)
    microphone.open(spoken, lambda why: None)
    stack.push_async_callback(asyncio.to_thread, microphone.close)
    await pc.setLocalDescription(await pc.createOffer())
    await pc.setRemoteDescription(RTCSessionDescription(sdp=await answer(pc.localDescription.sdp), type="answer"))
    await asyncio.wait_for(connected.wait(), CONNECT_TIMEOUT_S)
    gate.open()
    return End(kept, lambda: None)
