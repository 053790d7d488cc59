"""The seat's side of a call in Python: for the demo's robot seat, benchmarks and tests.

It does what the seat page does: answers an offer at once, and sends sound and pictures only after :meth:`accept`.
What it receives is kept (bounded), so that it can be looked at.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

import av
import numpy as np
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from kiosk.hardware.levels import rms_dbfs
from kiosk.hardware.microphone import BLOCK_SAMPLES, SAMPLE_RATE, ToneMicrophone
from kiosk.hardware.moving_picture import MovingPicture, read_code
from kiosk.media.opus_decoder import mono
from kiosk.media.session import AUDIBLE_DBFS
from kiosk.media.tracks import Gate, GatedAudioTrack, GatedVideoTrack

KEPT_S = 2
FPS = 15


class AnsweringPeer:
    """Answers one call with a tone of *hz* and the moving picture."""

    def __init__(self, *, hz: float) -> None:
        self._gate = Gate()
        self._microphone = ToneMicrophone(hz)
        self._camera: MovingPicture | None = None
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._pc.on("track", self._track)
        self._pc.on("connectionstatechange", self._changed)
        self._tasks: list[asyncio.Task[None]] = []
        self._sound: deque[NDArray[np.int16]] = deque(maxlen=KEPT_S * SAMPLE_RATE // BLOCK_SAMPLES)
        self.connected = asyncio.Event()
        self.first_audio_at: float | None = None
        """Monotonic seconds of the first audible sound."""
        self.first_video_at: float | None = None
        """Monotonic seconds of the first decoded picture."""
        self.codes: set[int] = set()
        """Counters read in the pictures."""
        self.frames = 0
        self.heard_anything = asyncio.Event()
        """Sound has arrived, be it silence."""
        self.audible = asyncio.Event()
        self.visible = asyncio.Event()
        self.enough_sound = asyncio.Event()
        self.coded = asyncio.Event()

    async def answer(self, offer: str) -> str:
        """Take *offer*, return the answer with all candidates."""
        await self._pc.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        for transceiver in self._pc.getTransceivers():
            if transceiver.kind == "audio":
                audio = GatedAudioTrack(self._gate)
                self._pc.addTrack(audio)
                self._microphone.open(audio.deliver, lambda why: None)
            else:
                video = GatedVideoTrack(self._gate)
                self._pc.addTrack(video)
                self._camera = MovingPicture(width=320, height=192, fps=FPS)
                self._camera.open(video.deliver, lambda why: None)
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        return str(self._pc.localDescription.sdp)

    def accept(self) -> None:
        """Send from now on."""
        self._gate.open()

    def sound(self) -> NDArray[np.int16]:
        """What was heard of late (at most 2 s)."""
        return np.concatenate([np.empty(0, np.int16), *self._sound])

    async def films_no_more(self) -> None:
        """Let the camera be off from now on."""
        if self._camera is not None:
            await asyncio.to_thread(self._camera.close)

    async def close(self) -> None:
        """End everything."""
        await asyncio.to_thread(self._microphone.close)
        if self._camera is not None:
            await asyncio.to_thread(self._camera.close)
        await self._pc.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _changed(self) -> None:
        if self._pc.connectionState == "connected":
            self.connected.set()

    def _track(self, track: MediaStreamTrack) -> None:
        listen = self._listen if track.kind == "audio" else self._watch
        self._tasks.append(asyncio.get_running_loop().create_task(listen(track)))

    async def _listen(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                if not isinstance(frame, av.AudioFrame):
                    continue
                sound = mono(frame)
                self.heard_anything.set()
                if self.first_audio_at is None:
                    if rms_dbfs(sound) < AUDIBLE_DBFS:
                        continue
                    self.first_audio_at = time.monotonic()
                    self.audible.set()
                self._sound.append(sound)
                if len(self._sound) == self._sound.maxlen:
                    self.enough_sound.set()
        except MediaStreamError:
            return

    async def _watch(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                if not isinstance(frame, av.VideoFrame):
                    continue
                self.frames += 1
                if self.first_video_at is None:
                    self.first_video_at = time.monotonic()
                    self.visible.set()
                counter = read_code(luma_of(frame))
                if counter is not None:
                    self.codes.add(counter)
                    if len(self.codes) >= FPS:
                        self.coded.set()
        except MediaStreamError:
            return


def luma_of(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """The brightness of *frame*: height × width."""
    return frame.to_ndarray(format="gray").astype(np.uint8, copy=False)
