"""The seats of ``kiosk bench group``, in a process of their own, so that what they cost is not the bed's.

``python -m kiosk.bench.group_seats`` answers offers that come as JSON lines and tells what has arrived. A seat here
sends what a browser does (a voice, and pictures of 640x360 if it has a camera) and decodes nothing. The voice and
the pictures are encoded once for all, and nobody estimates the path: both processes share a machine, and a seat
that was late itself would ask for fewer bits, one of four sooner than one alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator

import msgspec
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtp import RtpPacket

from kiosk.errors import KioskError
from kiosk.hardware.microphone import ToneMicrophone
from kiosk.hardware.moving_picture import MovingPicture
from kiosk.media.aiortc_private import hear_feedback, tap_packets
from kiosk.media.encoders import X264Encoder
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.rate_control import Report
from kiosk.media.tracks import Gate, VoiceTrack
from kiosk.media.video_source import VideoSource
from kiosk.media.viewer import VideoViewer
from kiosk.media.voice_source import VoiceSource

SEAT_HZ = 660.0
WIDTH, HEIGHT, FPS = 640, 360, 24
"""What the seat page asks of a camera."""
ESTIMATE = "abs-send-time"
"""The header extension without which a receiver estimates nothing."""
WAIT_S = 30.0
STOP_TIMEOUT_S = 15.0
LINE_BYTES = 1 << 20


class Got(msgspec.Struct):
    """What one seat has received: packets, and whole pictures."""

    sound: int = 0
    video: int = 0
    pictures: int = 0


class Asked(msgspec.Struct, frozen=True):
    """A line of the bench: an offer to answer, or what has arrived, or an end of all talks."""

    offer: str = ""
    camera: bool = False
    ends: bool = False


class Said(msgspec.Struct, frozen=True):
    """The line that answers it."""

    answer: str = ""
    got: tuple[Got, ...] = ()


# -- in the seats' process


class Seats:
    """All of them. Loop's thread."""

    def __init__(self) -> None:
        self._gate = Gate()
        self._gate.open()
        self._voice = VoiceSource()
        self._pictures = VideoSource(fps=FPS, makers={"H264": X264Encoder})
        self._microphone = ToneMicrophone(SEAT_HZ)
        self._camera = MovingPicture(width=WIDTH, height=HEIGHT, fps=FPS)
        self._connections: list[RTCPeerConnection] = []
        self._got: list[Got] = []

    async def live(self, lines: asyncio.StreamReader) -> None:
        """Do what *lines* ask until they end."""
        self._microphone.open(self._voice.deliver, lambda words: None)
        self._camera.open(self._pictures.deliver, lambda words: None)
        while line := await lines.readline():
            said = await self._answer(msgspec.json.decode(line, type=Asked))
            sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
            sys.stdout.flush()
        await self._end()
        await asyncio.to_thread(self._microphone.close)
        await asyncio.to_thread(self._camera.close)
        await self._pictures.close()

    async def _answer(self, asked: Asked) -> Said:
        if asked.offer:
            return Said(answer=await self._begin(asked))
        if asked.ends:
            await self._end()
        return Said(got=tuple(self._got))

    async def _begin(self, asked: Asked) -> str:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        got = Got()
        self._connections.append(connection)
        self._got.append(got)
        connection.on("track", lambda track: _count(connection, track, got))
        offer = "".join(line for line in asked.offer.splitlines(keepends=True) if ESTIMATE not in line)
        await connection.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        for transceiver in connection.getTransceivers():
            if transceiver.kind == "audio":
                connection.addTrack(VoiceTrack(self._gate, self._voice, meter=lambda dbfs: None))
            elif asked.camera:
                viewer = VideoViewer(self._gate, self._pictures, codec=lambda: "H264")
                _heed(connection, viewer)
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)

    async def _end(self) -> None:
        ending, self._connections, self._got = self._connections, [], []
        for connection in ending:
            for sender in connection.getSenders():
                if sender.track is not None:
                    sender.track.stop()
            await connection.close()


def _heed(connection: RTCPeerConnection, viewer: VideoViewer) -> None:
    hear_feedback(
        connection.addTrack(viewer),
        keyframe=viewer.request_keyframe,
        report=lambda remb, loss, rtt: viewer.report(Report(remb, loss, rtt)),
    )


def _count(connection: RTCPeerConnection, track: MediaStreamTrack, got: Got) -> None:
    receiver = next(receiver for receiver in connection.getReceivers() if receiver.track is track)

    def counted(packet: RtpPacket) -> None:
        if track.kind == "audio":
            got.sound += 1
        else:
            got.video += 1
            got.pictures += packet.marker

    tap_packets(receiver, counted)


async def _live() -> None:
    prepare_media([LOOPBACK])
    lines = asyncio.StreamReader(LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await Seats().live(lines)


# -- in the bench


class SeatsProcess:
    """The bench's end of it."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    async def answer(self, offer: str, *, camera: bool) -> str:
        """One more seat, which takes *offer*."""
        return (await self._ask(Asked(offer=offer, camera=camera))).answer

    async def got(self) -> tuple[Got, ...]:
        """What each has received until now."""
        return (await self._ask(Asked())).got

    async def end(self) -> None:
        """Let all of them leave."""
        await self._ask(Asked(ends=True))

    async def _ask(self, asked: Asked) -> Said:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(msgspec.json.encode(asked) + b"\n")
        try:
            line = await asyncio.wait_for(self._child.stdout.readline(), WAIT_S)
        except TimeoutError:
            raise KioskError(f"bench group: the seats' process did not answer within {WAIT_S:.0f} s") from None
        if not line:
            raise KioskError("bench group: the seats' process has ended")
        return msgspec.json.decode(line, type=Said)


@contextlib.asynccontextmanager
async def seats_process() -> AsyncIterator[SeatsProcess]:
    """The seats, as long as they are needed."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kiosk.bench.group_seats"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
    )
    try:
        yield SeatsProcess(child)
    finally:
        assert child.stdin is not None
        child.stdin.close()
        try:
            await asyncio.wait_for(child.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            child.kill()
            await child.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    asyncio.run(_live())
