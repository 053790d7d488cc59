"""What ``kiosk bench video`` and ``media`` film, and how it gets to real Chromium: our way, or aiortc's own.

720p at 30 with grain, so that the bits are really needed. The bed's side runs in this process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import aiortc.rtcrtpsender
import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole
from playwright.async_api import Browser, Page

from kiosk.bench import shown_pictures
from kiosk.bench.chromium import page_says
from kiosk.hardware.camera import Camera, Coded, Coding, CodingCamera, OnCoded, OnFault, OnFrame
from kiosk.hardware.moving_picture import MovingPicture
from kiosk.hardware.worker import Worker
from kiosk.media.aiortc_private import RTP_HISTORY
from kiosk.media.call_devices import CallDevices
from kiosk.media.encoders import Encoded, Shape, X264Encoder
from kiosk.media.session import MediaConnected, MediaEvent, MediaSession
from kiosk.media.tracks import Gate, GatedVideoTrack
from kiosk.media.video_source import VideoSource
from kiosk.signaling.messages import CallType

WIDTH, HEIGHT, FPS = 1280, 720, 30
GRAIN, GRAINS = 6, 7
AIORTC_HISTORY = 128
WAIT_S = 30.0
CLIP_PICTURES = 150


class GrainyPicture(MovingPicture):
    """The moving picture with the noise of a sensor in the dark, which costs an encoder bits."""

    def __init__(self) -> None:
        super().__init__(width=WIDTH, height=HEIGHT, fps=FPS)
        self.filmed_at: dict[int, float] = {}
        """When each was taken, in Unix seconds: before it is drawn, as light falls before a sensor is read."""
        rng = np.random.default_rng(1)
        self._grain = [rng.integers(0, GRAIN, (HEIGHT * 3 // 2, WIDTH), dtype=np.uint8) for _ in range(GRAINS)]

    def frame(self, counter: int) -> av.VideoFrame:
        """The picture number *counter*."""
        self.filmed_at[counter] = time.time()
        luma = super().frame(counter).to_ndarray()
        return av.VideoFrame.from_ndarray(luma + self._grain[counter % GRAINS], format="yuv420p")


class ClipCamera(CodingCamera):
    """A camera that encodes by itself, and costs the processor as little: its pictures were encoded before."""

    name = "a recorded clip"
    size = (WIDTH, HEIGHT)

    def __init__(self, clip: Sequence[Encoded]) -> None:
        self._clip = clip
        self._next = 0
        self._coding: Coding | None = None
        self._on_coded: OnCoded = lambda coded: None
        self._worker: Worker | None = None

    def open(self, on_frame: OnFrame, on_fault: OnFault) -> None:
        """Start the clip."""
        worker = self._worker = Worker(self.name, lambda: self._play(worker))
        worker.start()

    def close(self) -> None:
        """Stop it."""
        if self._worker is not None:
            self._worker.stop()

    def try_encoder(self) -> str:
        """It is recorded."""
        return self.name

    def code(self, coding: Coding | None, on_coded: OnCoded, on_fault: OnFault) -> None:
        """Play it, at the rate and in the size it has."""
        self._on_coded, self._coding = on_coded, coding
        self._next = 0

    def request_keyframe(self) -> None:
        """Begin the clip anew."""
        self._next = 0

    def want_frames(self, wanted: bool) -> None:
        """There are none."""

    def _play(self, worker: Worker) -> None:
        due = time.monotonic()
        while not worker.stopping.wait(max(0.0, due - time.monotonic())):
            due += 1 / FPS
            if self._coding is not None:
                encoded, self._next = self._clip[self._next], (self._next + 1) % len(self._clip)
                self._on_coded(Coded(encoded.data, encoded.keyframe, time.monotonic()))


@asynccontextmanager
async def page_of(browser: Browser) -> AsyncIterator[Page]:
    """An empty page of its own."""
    context = await browser.new_context()
    try:
        page = await context.new_page()
        await page.goto("data:text/html,<body></body>")
        yield page
        await shown_pictures.close(page)
    finally:
        await context.close()


@asynccontextmanager
async def sending(
    page: Page, viewers: int, mime: str | None, encoding: CodingCamera | None = None, *, talk: bool = False
) -> AsyncIterator[GrainyPicture]:
    """The camera and its connections to *page*: aiortc's own encoder for *mime*, else ours, or *encoding*'s own.

    In a *talk* the page sends sound, and for ours it does as the seat page does.
    """
    camera = GrainyPicture()
    async with AsyncExitStack() as stack:
        if mime is None:
            await _ours(page, viewers, encoding or camera, encoding, stack, talk=talk)
        else:
            await _aiortcs(page, viewers, camera, mime, stack, talk=talk)
        await page_says(page, "shown[0].seen.length > 5", WAIT_S)
        yield camera


async def _ours(
    page: Page,
    viewers: int,
    camera: Camera,
    encoding: CodingCamera | None,
    stack: AsyncExitStack,
    *,
    talk: bool,
) -> None:
    source = VideoSource(fps=FPS, makers={"H264": X264Encoder}, camera=encoding)
    stack.push_async_callback(source.close)
    devices = CallDevices(camera=camera, microphone=None, speaker=None, tell=lambda event: None)
    stack.push_async_callback(devices.close)
    devices.open(video=True)
    for number in range(viewers):
        connected = asyncio.Event()

        def told(event: MediaEvent, connected: asyncio.Event = connected) -> None:
            if isinstance(event, MediaConnected):
                connected.set()

        session = MediaSession(
            call_type=CallType.VIDEO,
            devices=devices,
            ice_servers=(),
            on_event=told,
            log_id=f"viewer {number}",
            pictures=source,
        )
        stack.push_async_callback(session.close)
        offer = await session.offer()
        await session.answer(await shown_pictures.watch(page, offer, number, talks=talk, awaits_repeats=talk))
        await asyncio.wait_for(connected.wait(), WAIT_S)
        session.open_gate()


async def _aiortcs(
    page: Page, viewers: int, camera: GrainyPicture, mime: str, stack: AsyncExitStack, *, talk: bool
) -> None:
    vars(aiortc.rtcrtpsender)["RTP_HISTORY_SIZE"] = AIORTC_HISTORY
    stack.callback(vars(aiortc.rtcrtpsender).update, RTP_HISTORY_SIZE=RTP_HISTORY)
    heard = MediaBlackhole()
    stack.push_async_callback(heard.stop)
    tracks: list[GatedVideoTrack] = []
    gate = Gate()
    gate.open()
    codecs = RTCRtpSender.getCapabilities("video").codecs
    for number in range(viewers):
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        stack.push_async_callback(pc.close)
        tracks.append(GatedVideoTrack(gate))
        pc.addTrack(tracks[-1])
        if talk:
            pc.addTransceiver("audio", direction="recvonly")
            pc.on("track", heard.addTrack)
        pc.getTransceivers()[0].setCodecPreferences([one for one in codecs if one.mimeType in (mime, "video/rtx")])
        await pc.setLocalDescription(await pc.createOffer())
        answer = await shown_pictures.watch(page, pc.localDescription.sdp, number, talks=talk)
        await pc.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        await heard.start()

    def deliver(frame: av.VideoFrame) -> None:
        for track in tracks:
            track.deliver(frame)

    camera.open(deliver, lambda why: None)
    stack.push_async_callback(asyncio.to_thread, camera.close)


def clip_camera() -> ClipCamera:
    """One with a clip of what :class:`GrainyPicture` films."""
    camera = GrainyPicture()
    encoder = X264Encoder(Shape(WIDTH, HEIGHT, FPS, 2_500_000), 1_250_000)
    return ClipCamera(
        [encoded for number in range(CLIP_PICTURES) for encoded in encoder.encode(camera.frame(number), pts=number)]
    )
