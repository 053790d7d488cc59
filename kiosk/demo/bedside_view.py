"""The bedside view of the demo: the button, the lamp, what the patient is told, sees and hears, in a browser.

Demo only. A real bed has a button, a lamp and a speaker; this page stands in for them by pressing simulated pins
and looking at the pins of lamp and relay. Runs on the bed's event loop; the fingers press on a worker thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from kiosk.bedside import prompts
from kiosk.bedside.devices import Devices
from kiosk.bedside.request_events import LampSign, View
from kiosk.desk.listening import Listening, listen
from kiosk.hardware.levels import FLOOR_DBFS, rms_dbfs
from kiosk.hardware.simulated_finger import SimulatedFinger
from kiosk.hardware.speaker import SimulatedSpeaker

PAGE = Path(__file__).parent / "page"
HOST = "127.0.0.1"
LANGUAGES = ("en", "zh")
REFRESH_S = 0.05
PICTURE_WIDTH = 480
JPEG_QUALITY = 6
"""FFmpeg's scale, 2 (best) to 31."""


class State(msgspec.Struct, frozen=True):
    """What the page shows."""

    lit: bool
    relay: bool
    """Whether the relay to the certified nurse call is closed."""
    lamp: str
    prompt: str
    told: dict[str, str]
    """The words in each language."""
    level: float
    """dBFS of what the patient hears, while somebody speaks and where it is known."""
    picture: int
    """Number of the last picture, 0 = none; the page fetches ``/picture`` when it changes."""


class BedsideView:
    """Serves the page at *port*."""

    def __init__(
        self,
        devices: Devices,
        *,
        port: int,
        fingers: Mapping[str, SimulatedFinger],
    ) -> None:
        self._devices = devices
        self._port = port
        self._fingers = fingers
        self._view: View | None = None
        self._frame: av.VideoFrame | None = None
        self._number = 0
        self._one_at_a_time = asyncio.Lock()

    def show(self, view: View, told: str) -> None:
        """The bed shows something new."""
        self._view = view
        if not self._talking:
            self._frame, self._number = None, 0

    def picture(self, frame: av.VideoFrame) -> None:
        """The seat's picture; the newest wins. One that comes after the end is not shown."""
        if self._talking:
            self._frame = frame
            self._number += 1

    @property
    def _talking(self) -> bool:
        return self._view is not None and self._view.lamp is LampSign.TALKING

    async def run(self, ready: Callable[[str], None]) -> None:
        """Serve until a signal. Raises :exc:`~kiosk.errors.PortInUse`."""
        app = Starlette(
            routes=[
                Route("/", self._index),
                Route("/picture", self._picture),
                WebSocketRoute("/state", self._states),
                Mount("/page", StaticFiles(directory=PAGE)),
            ]
        )
        with listen(HOST, self._port, "--port") as listening:
            config = uvicorn.Config(
                app, log_config=None, access_log=False, timeout_graceful_shutdown=1, lifespan="off"
            )
            url = f"http://localhost:{listening.getsockname()[1]}/"
            await Listening(config, lambda: ready(url)).serve(sockets=[listening])

    async def _index(self, request: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def _picture(self, request: Request) -> Response:
        # Two pages may ask for the same frame, and PyAV's conversion of one frame is not safe on two threads.
        async with self._one_at_a_time:
            frame = self._frame
            if frame is None:
                return Response(status_code=404)
            return Response(await asyncio.to_thread(_jpeg, frame), media_type="image/jpeg")

    async def _states(self, websocket: WebSocket) -> None:
        await websocket.accept()
        presses = asyncio.create_task(self._press(websocket))
        try:
            while not presses.done():
                await websocket.send_text(msgspec.json.encode(self._state()).decode())
                await asyncio.sleep(REFRESH_S)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the page was closed
        finally:
            presses.cancel()
            await asyncio.gather(presses, return_exceptions=True)

    async def _press(self, websocket: WebSocket) -> None:
        pressed: set[SimulatedFinger] = set()
        try:
            while True:
                name, _, action = (await websocket.receive_text()).partition(" ")
                finger = self._fingers.get(name)
                if finger is None:
                    continue
                if action == "down":
                    pressed.add(finger)
                    await asyncio.to_thread(finger.press)
                else:
                    pressed.discard(finger)
                    await asyncio.to_thread(finger.release)
        except WebSocketDisconnect:
            pass  # the page was closed
        finally:
            # A page that is closed with a finger on a button lifts it.
            for finger in pressed:
                finger.release()

    def _state(self) -> State:
        view = self._view
        speaker = self._devices.speaker
        level = FLOOR_DBFS
        if self._talking and isinstance(speaker, SimulatedSpeaker):
            level = rms_dbfs(speaker.recent()[-4800:])
        return State(
            lit=self._devices.lamp.lit,
            relay=self._devices.relay is not None and self._devices.relay.closed,
            lamp=view.lamp.value if view else "off",
            prompt=view.prompt if view else "",
            told={language: prompts.words(view, language) for language in LANGUAGES} if view else {},
            level=round(level, 1),
            picture=self._number,
        )


def _jpeg(frame: av.VideoFrame) -> bytes:
    height = round(frame.height * PICTURE_WIDTH / frame.width / 2) * 2
    small = frame.reformat(width=PICTURE_WIDTH, height=height, format="yuvj420p")
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = PICTURE_WIDTH, height, "yuvj420p"
    encoder.time_base = Fraction(1, 30)
    encoder.options = {"qmin": str(JPEG_QUALITY), "qmax": str(JPEG_QUALITY)}
    small.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])
