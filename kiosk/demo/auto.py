"""``kiosk demo --auto``: a robot answers a video and an audio call, both directions are verified, timings
printed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from kiosk.bedside.request_events import View
from kiosk.demo.robot import Robot
from kiosk.errors import KioskError
from kiosk.hardware.levels import dominant_tone
from kiosk.hardware.microphone import SAMPLE_RATE
from kiosk.hardware.simulated_finger import SimulatedFinger
from kiosk.hardware.speaker import SimulatedSpeaker
from kiosk.signaling import messages as wire
from kiosk.signaling.messages import CallType

BED_HZ = 440.0
SEAT_HZ = 660.0
TOLERANCE_HZ = 8.0
MIN_CLEAR_DB = 6.0
"""How far the tone must stand above everything else."""
WAIT_S = 20.0
LOOK_AGAIN_S = 0.02


@dataclass
class Story:
    """What happened at the bed, as its watchers saw it."""

    moments: list[tuple[str, float]] = field(default_factory=list)
    view: View | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def trace(self, event: str, call_id: str = "", *, ago: float = 0.0) -> None:
        """A moment of the bed."""
        self.moments.append((event, time.monotonic() - ago))
        self.changed.set()

    def show(self, view: View, told: str) -> None:
        """What the bed shows."""
        self.view = view
        self.changed.set()

    def at(self, event: str, *, after: float) -> float | None:
        """When *event* first happened since *after*."""
        return next((at for name, at in self.moments if name == event and at >= after), None)

    async def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait until *holds*. Raises :exc:`KioskError` naming *what*."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not holds():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise KioskError(f"not within {WAIT_S:.0f} s: {what}") from None

    async def shows(self, prompt: str) -> None:
        """Wait until the bed shows *prompt*."""
        await self.until(f"the bed shows {prompt!r}", lambda: self.view is not None and self.view.prompt == prompt)


async def run_calls(
    *, robot: Robot, story: Story, call: SimulatedFinger, attend: SimulatedFinger, speaker: SimulatedSpeaker
) -> None:
    """One call of the bed's kind, then one taken as audio. Raises :exc:`KioskError` at the first thing amiss."""
    await story.shows("ready")
    for call_type in (CallType.VIDEO, CallType.AUDIO):
        await _one_call(call_type, robot=robot, story=story, call=call, speaker=speaker)
        await asyncio.to_thread(attend.tap)
        await story.shows("ready")
        seen = "pictures, sound" if call_type is CallType.VIDEO else "sound"
        print(f"  {call_type.name.lower()} call: {seen}, hang-up and attendance verified", flush=True)


async def _one_call(
    call_type: CallType, *, robot: Robot, story: Story, call: SimulatedFinger, speaker: SimulatedSpeaker
) -> None:
    story.moments.clear()
    pressed_at = time.monotonic()
    await asyncio.to_thread(call.press)
    incoming, rang_at = await robot.rings()
    await asyncio.to_thread(call.release)
    await story.shows("ringing")
    peer = robot.peer
    assert peer is not None
    if peer.first_audio_at is not None or peer.first_video_at is not None:
        raise KioskError("media left the bed before the accept")
    accepted_at = await robot.accept(incoming, call_type)
    await story.shows("talking")
    async with asyncio.timeout(WAIT_S):
        await peer.enough_sound.wait()
        if call_type is CallType.VIDEO:
            await peer.coded.wait()
    _check_tone("the seat hears the bed", dominant_tone(peer.sound(), SAMPLE_RATE), BED_HZ)
    await story.until("the bed hears the seat", lambda: story.at("first_audio", after=accepted_at) is not None)
    await _bed_hears_tone(speaker)
    timings = {
        "press → lamp": (pressed_at, story.at("lamp", after=pressed_at)),
        "press → the seat rings": (pressed_at, rang_at),
        "accept → first sound at the seat": (accepted_at, peer.first_audio_at),
        "accept → first sound at the bed": (accepted_at, story.at("first_audio", after=accepted_at)),
    }
    if call_type is CallType.VIDEO:
        timings["accept → first picture at the seat"] = (accepted_at, peer.first_video_at)
        timings["accept → first picture at the bed"] = (accepted_at, story.at("first_video", after=accepted_at))
    for stage, (begin, end) in timings.items():
        if end is None:
            raise KioskError(f"never happened: {stage}")
        print(f"  {stage:<36}{(end - begin) * 1000:8.1f} ms", flush=True)
    await robot.send(wire.Hangup(call_id=incoming.call_id))
    await robot.drop_call()
    await story.shows("answered")


async def _bed_hears_tone(speaker: SimulatedSpeaker) -> None:
    try:
        async with asyncio.timeout(WAIT_S):
            while True:
                hz, clear = dominant_tone(speaker.recent(), SAMPLE_RATE)
                if abs(hz - SEAT_HZ) <= TOLERANCE_HZ and clear >= MIN_CLEAR_DB:
                    return
                await asyncio.sleep(LOOK_AGAIN_S)
    except TimeoutError:
        raise KioskError(f"the bed's speaker plays {hz:.0f} Hz, not the seat's {SEAT_HZ:.0f}") from None


def _check_tone(what: str, tone: tuple[float, float], wanted: float) -> None:
    hz, clear = tone
    if abs(hz - wanted) > TOLERANCE_HZ or clear < MIN_CLEAR_DB:
        raise KioskError(f"{what}: {hz:.0f} Hz, {clear:.0f} dB clear, instead of {wanted:.0f} Hz")
