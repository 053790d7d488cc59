"""The bed's camera, microphone and speaker in a call: opened with it, let go with it, opened again when one that
failed comes back.

Everything runs on the event loop's thread; devices are opened and closed on threads, since a driver may take a
second. One device is never opened before its last closing has ended: a call may follow another at once. All
connections share them: what is heard here goes to all who listen (``voice``), what they send is mixed (``mix``). So
a rebuilt connection goes on with the same open devices, and nobody joins or leaves to the harm of another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

import av

from kiosk.errors import HardwareFault
from kiosk.hardware.camera import Camera, OnFrame
from kiosk.hardware.microphone import Microphone
from kiosk.hardware.sound import Block, OnBlock, OnFault
from kiosk.hardware.speaker import Source, Speaker
from kiosk.media.call_sound import CallSound
from kiosk.media.speaker_mix import SpeakerMix
from kiosk.media.stages import Stage, Took, nobody
from kiosk.media.voice_source import VoiceSource
from kiosk.signaling.messages import FaultKind

REOPEN_S = 2.0
"""Between two tries to open a device that failed: a replugged USB device needs about one to be there."""
REOPEN_TRIES = 30
"""In one call; each of a device whose driver hangs leaves a thread behind. The next call begins anew."""

Device = Literal["camera", "microphone", "speaker"]


@dataclass(frozen=True)
class DeviceOpened:
    """A device of the bed works."""

    device: Device


@dataclass(frozen=True)
class DeviceFault:
    """A device of the bed is missing or went away."""

    device: Device
    words: str
    kind: FaultKind


DeviceEvent = DeviceOpened | DeviceFault


@dataclass(frozen=True)
class Borrower:
    """Who has the devices in place of a call: gets pictures and sound as they come from them, before echo control,
    and *gives* what the speaker plays, on the devices' threads; is *told* what becomes of them, on the loop."""

    picture: OnFrame
    sound: OnBlock
    give: Source
    told: Callable[[DeviceEvent], None]


class CallDevices:
    """What the bed has of the three. *tell* is called on the loop, when a device's state changes.

    *took* is told on the microphone's thread how long each block took (:mod:`kiosk.media.stages`).
    """

    def __init__(
        self,
        *,
        camera: Camera | None,
        microphone: Microphone | None,
        speaker: Speaker | None,
        tell: Callable[[DeviceEvent], None],
        sound: CallSound | None = None,
        reopen_s: float = REOPEN_S,
        took: Took = nobody,
    ) -> None:
        self._took = took
        self._speaker = speaker
        self._microphone = microphone
        self._call_sound = sound if sound is not None else CallSound()
        self._told = tell
        self._borrower: Borrower | None = None
        self._picture: OnFrame = lambda frame: None
        self.voice = VoiceSource(took=took)
        """What the microphone hears, for whoever may hear it."""
        self.mix = SpeakerMix(speaker)
        """What the speaker plays in a call."""
        self._kept: dict[Device, _Kept] = {}
        if camera is not None:
            self._kept["camera"] = _Kept(
                "camera", lambda told: camera.open(self._on_frame, told), camera.close, self._tell, reopen_s
            )
        if microphone is not None:
            self._kept["microphone"] = _Kept(
                "microphone",
                self._open_microphone,
                self._close_microphone,
                self._tell,
                reopen_s,
                self._watch_microphone,
            )
        if speaker is not None:
            speaker.shape, speaker.played = self._call_sound.shape, self._call_sound.played
            self._kept["speaker"] = _Kept("speaker", speaker.open, speaker.close, self._tell, reopen_s)

    def open(self, *, video: bool) -> None:
        """Open them, the camera only for *video*. Does not wait; what comes of it is told."""
        for device, kept in self._kept.items():
            if video or device != "camera":
                kept.start()

    def open_speaker(self) -> None:
        """Open the speaker alone: nothing is captured. Does not wait."""
        if "speaker" in self._kept:
            self._kept["speaker"].start()

    def film(self, picture: OnFrame) -> None:
        """Give the camera's pictures to *picture* from now on; it is called on the camera's thread."""
        self._picture = picture

    def lend(self, borrower: Borrower | None) -> None:
        """Give what is captured to *borrower* and to no call, and play what it gives; None: the calls' again.

        Not while a call is on.
        """
        self._borrower = borrower
        if self._speaker is not None:
            self._speaker.feed(None if borrower is None else borrower.give)

    def play(self, block: Block) -> None:
        """Give *block* to the speaker, if there is one."""
        if self._speaker is not None:
            self._speaker.play(block)

    def let_camera_go(self) -> None:
        """Go on without pictures. Does not wait."""
        if "camera" in self._kept:
            self._kept["camera"].stop()

    def stop(self) -> None:
        """Let everything go. Does not wait: the next :meth:`open` does."""
        for kept in self._kept.values():
            kept.stop()

    async def close(self) -> None:
        """Let everything go, and wait until it is. May be called twice."""
        self.stop()
        await asyncio.gather(*(kept.ended() for kept in self._kept.values()))

    def _tell(self, event: DeviceEvent) -> None:
        borrower = self._borrower
        if borrower is not None:
            borrower.told(event)
        self._told(event)

    def _on_frame(self, frame: av.VideoFrame) -> None:
        borrower = self._borrower
        (self._picture if borrower is None else borrower.picture)(frame)

    def _on_block(self, block: Block) -> None:
        assert self._microphone is not None
        borrower = self._borrower
        if borrower is not None:
            borrower.sound(block)
            return
        delay_s, began = self._microphone.delay_s, time.monotonic()
        made = self._call_sound.captured(block, delay_s)
        self._took(Stage.SOUND_PROCESSED, delay_s + time.monotonic() - began)
        self.voice.deliver(made, lifted_db=self._call_sound.lifted_db)

    def _open_microphone(self, told: OnFault) -> None:
        assert self._microphone is not None
        self._call_sound.begin()
        self._microphone.open(self._on_block, told)

    def _close_microphone(self) -> None:
        assert self._microphone is not None
        self._microphone.close()
        self._call_sound.end()

    async def _watch_microphone(self) -> None:
        assert self._microphone is not None
        name = self._microphone.name

        def told(words: str) -> None:
            fault = DeviceFault("microphone", f"{name}: {words}", FaultKind.SILENT)
            self._tell(fault if words else DeviceOpened("microphone"))

        await self._call_sound.watch(told)


class _Kept:
    """One device: held open from :meth:`start` to :meth:`stop`."""

    def __init__(
        self,
        device: Device,
        open_it: Callable[[OnFault], None],
        close_it: Callable[[], None],
        tell: Callable[[DeviceEvent], None],
        reopen_s: float,
        watch: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._device = device
        self._watch = watch
        self._open, self._close = open_it, close_it
        self._tell = tell
        self._reopen_s = reopen_s
        self._keeping: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._told = ""

    def start(self) -> None:
        """Open it as soon as its last closing has ended; one that is held open already stays so."""
        if self._keeping is not None and not self._keeping.done() and not self._stop.is_set():
            return
        self._stop = asyncio.Event()
        self._keeping = asyncio.get_running_loop().create_task(self._keep(self._keeping, self._stop))

    def stop(self) -> None:
        """Let it go, soon."""
        self._stop.set()

    async def ended(self) -> None:
        """Wait until it is let go."""
        if self._keeping is not None:
            await asyncio.wait([self._keeping])

    async def _keep(self, before: asyncio.Task[None] | None, stop: asyncio.Event) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._told = ""
        for _ in range(REOPEN_TRIES):
            if stop.is_set():
                return
            fault = await self._hold(stop)
            if fault.words != self._told and not stop.is_set():
                self._tell(fault)
            self._told = fault.words
            await _within(self._reopen_s, stop)

    async def _hold(self, stop: asyncio.Event) -> DeviceFault:
        """Open, wait until it fails or is to stop, close. Returns why it failed."""
        fault = _Fault()
        try:
            await asyncio.to_thread(self._open, fault.told)
        except HardwareFault as error:
            return DeviceFault(self._device, str(error), FaultKind.MISSING)
        if not stop.is_set():
            self._told = ""
            self._tell(DeviceOpened(self._device))
        stopping = asyncio.get_running_loop().create_task(stop.wait())
        failing = asyncio.get_running_loop().create_task(fault.happened.wait())
        watching = asyncio.get_running_loop().create_task(self._watch()) if self._watch is not None else None
        try:
            await asyncio.wait([stopping, failing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            failing.cancel()
            if watching is not None:
                watching.cancel()
            await asyncio.to_thread(self._close)  # waits for the device's thread, which may be in a driver
        return DeviceFault(self._device, fault.words, FaultKind.FAILED)


class _Fault:
    """Brings a device's word that it failed from its thread to the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.happened = asyncio.Event()
        self.words = ""

    def told(self, words: str) -> None:
        """Any thread."""
        try:
            self._loop.call_soon_threadsafe(self._take, words)
        except RuntimeError:
            return  # the loop is closed: nobody is left to be told

    def _take(self, words: str) -> None:
        self.words = words
        self.happened.set()


async def _within(seconds: float, stop: asyncio.Event) -> None:
    """Wait for *stop*, but no longer than *seconds*."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
