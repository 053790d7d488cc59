"""The baseline of ``kiosk bench group``: plain aiortc as the bed, which encodes for each seat and mixes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiortc.rtcrtpreceiver
import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.jitterbuffer import JitterBuffer
from aiortc.mediastreams import MediaStreamError

from kiosk.bench.group_seats import SeatsProcess
from kiosk.hardware.camera import Camera
from kiosk.hardware.microphone import ToneMicrophone
from kiosk.hardware.sound import Block
from kiosk.media.tracks import Gate, GatedAudioTrack, GatedVideoTrack

BED_HZ = 440.0
WAIT_S = 30.0
CODECS = ("video/H264", "video/rtx")


@asynccontextmanager
async def plain_talk(seats: SeatsProcess, camera: Camera, many: int) -> AsyncIterator[None]:
    """A talk of *many* seats with aiortc's own encoders, decoders and buffers. The last of a process."""
    vars(aiortc.rtcrtpreceiver)["JitterBuffer"] = JitterBuffer
    gate = Gate()
    gate.open()
    sounds = [GatedAudioTrack(gate) for _ in range(many)]
    films = [GatedVideoTrack(gate) for _ in range(many)]
    microphone = ToneMicrophone(BED_HZ)
    listening: list[asyncio.Task[None]] = []
    async with AsyncExitStack() as stack:
        stack.push_async_callback(seats.end)
        for sound, film in zip(sounds, films, strict=True):
            connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            stack.push_async_callback(connection.close)
            connection.on("track", lambda track: listening.append(asyncio.create_task(_listen(track))))
            await _connect(connection, sound, film, seats)

        def hear(block: Block) -> None:
            for sound in sounds:
                sound.deliver(block)

        def see(picture: av.VideoFrame) -> None:
            for film in films:
                film.deliver(picture)

        microphone.open(hear, lambda words: None)
        stack.push_async_callback(asyncio.to_thread, microphone.close)
        camera.open(see, lambda words: None)
        stack.push_async_callback(asyncio.to_thread, camera.close)
        yield
    await asyncio.gather(*listening)


async def _connect(
    connection: RTCPeerConnection, sound: GatedAudioTrack, film: GatedVideoTrack, seats: SeatsProcess
) -> None:
    connection.addTrack(sound)
    connection.addTrack(film)
    known = RTCRtpSender.getCapabilities("video").codecs
    connection.getTransceivers()[1].setCodecPreferences([codec for codec in known if codec.mimeType in CODECS])
    connected = asyncio.Event()

    def changed() -> None:
        if connection.connectionState == "connected":
            connected.set()

    connection.on("connectionstatechange", changed)
    await connection.setLocalDescription(await connection.createOffer())
    answer = await seats.answer(connection.localDescription.sdp, camera=False)
    await connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    await asyncio.wait_for(connected.wait(), WAIT_S)


async def _listen(track: Any) -> None:
    try:
        while True:
            await track.recv()
    except MediaStreamError:
        return
