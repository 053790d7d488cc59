"""What camera and microphone deliver while the speaker chirps: for the self-test, and for nothing else.

Threads: pictures, sound and the chirp come and go on the devices' threads, which only append and count here;
:meth:`Capture.run` and the faults are on the event loop. Nothing of it leaves this object but verdicts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import av
import numpy as np

from kiosk.check.chirp import LENGTH_S, Sound, chirp, find
from kiosk.check.picture import Luma, Seen
from kiosk.check.sound import Loop
from kiosk.hardware.levels import rms_dbfs
from kiosk.hardware.sound import BLOCK_S, BLOCK_SAMPLES, SAMPLE_RATE, Block
from kiosk.hardware.speaker import SILENCE
from kiosk.media.call_devices import Borrower, Device, DeviceEvent, DeviceFault
from kiosk.media.dead_microphone import is_living

DEVICES_TIMEOUT_S = 6.0
"""Until each delivers or has said why not: a camera on a Pi takes one to two."""
QUIET_S = 0.5
"""Before the chirp: how loud the room is."""
AFTER_S = 1.0
"""After it: a sound server and a Bluetooth loudspeaker may keep it for so long."""
PICTURES_S = 1.0
"""Between the two pictures that must differ; the exposure has settled by then."""
LOOK_AGAIN_S = 0.05
MOST_BLOCKS = round(20.0 / BLOCK_S)


class Capture:
    """One capture. *wanted*: which devices there are to be tested."""

    def __init__(self, wanted: frozenset[Device]) -> None:
        self._wanted = wanted
        self._faults: dict[Device, str] = {}
        self._chirp = _in_blocks(chirp(SAMPLE_RATE))
        # On the devices' threads.
        self._heard: list[tuple[Block, float]] = []
        self._pictures = 0
        self._first: tuple[av.VideoFrame, float] | None = None
        self._last: tuple[av.VideoFrame, float] | None = None
        self._asked_at: float | None = None
        self._chirping_from: int | None = None
        self._given = 0
        self._given_at: float | None = None

    @property
    def borrower(self) -> Borrower:
        """Who takes what the devices deliver."""
        return Borrower(picture=self._take_picture, sound=self._take_block, give=self._give, told=self._told)

    def _give(self) -> Block:
        """The speaker's next block. On its thread."""
        now = time.monotonic()
        self._asked_at = now
        if self._chirping_from is None or self._given >= len(self._chirp):
            return SILENCE
        if self._given_at is None:
            self._given_at = now
        block = self._chirp[self._given]
        self._given += 1
        return block

    async def run(self) -> None:
        """Capture, as long as it takes; the devices are open already, or are being opened."""
        await _until(self._delivering, DEVICES_TIMEOUT_S)
        await asyncio.sleep(QUIET_S)
        self._chirping_from = len(self._heard)
        await asyncio.sleep(LENGTH_S + AFTER_S)
        await _until(lambda: "camera" not in self._awaited() or self._span() >= PICTURES_S, PICTURES_S)

    def seen(self) -> Seen:
        """What came of the camera. Some milliseconds; any thread."""
        if self._first is None or self._last is None:
            return Seen(fault=self._faults.get("camera", ""))
        earlier = _luma(self._first[0]) if self._last is not self._first else None
        return Seen(self._pictures, _luma(self._last[0]), earlier, self._faults.get("camera", ""))

    def loop(self) -> Loop:
        """What came of microphone and speaker. Some milliseconds; any thread."""
        heard = list(self._heard)
        recording: Sound = np.concatenate([SILENCE[:0], *(block for block, _ in heard)])
        quiet = recording[: (self._chirping_from or 0) * BLOCK_SAMPLES]
        began = min((at - (number + 1) * BLOCK_S for number, (_, at) in enumerate(heard)), default=0.0)
        found = find(recording, SAMPLE_RATE)
        delay_s = 0.0
        if found is not None and self._given_at is not None:
            delay_s = began + found.at / SAMPLE_RATE - self._given_at
        return Loop(
            blocks=len(heard),
            living=any(is_living(block) for block, _ in heard),
            noise_dbfs=rms_dbfs(quiet),
            chirp=found,
            delay_ms=max(0.0, delay_s * 1000),
            given=self._given >= len(self._chirp),
            microphone_fault=self._faults.get("microphone", ""),
            speaker_fault=self._faults.get("speaker", ""),
        )

    # -- what the devices say

    def _take_picture(self, frame: av.VideoFrame) -> None:
        self._pictures += 1
        taken = (frame, time.monotonic())
        if self._first is None:
            self._first = taken
        self._last = taken

    def _take_block(self, block: Block) -> None:
        if len(self._heard) < MOST_BLOCKS:
            self._heard.append((block.copy(), time.monotonic()))

    def _told(self, event: DeviceEvent) -> None:
        if isinstance(event, DeviceFault):
            self._faults.setdefault(event.device, event.words)

    # -- waiting

    def _awaited(self) -> set[Device]:
        return {device for device in self._wanted if device not in self._faults}

    def _delivering(self) -> bool:
        there: dict[Device, bool] = {
            "camera": self._first is not None,
            "microphone": bool(self._heard),
            "speaker": self._asked_at is not None,
        }
        return all(there[device] for device in self._awaited())

    def _span(self) -> float:
        if self._first is None or self._last is None:
            return 0.0
        return self._last[1] - self._first[1]


async def _until(holds: Callable[[], bool], within_s: float) -> None:
    for _ in range(round(within_s / LOOK_AGAIN_S)):
        if holds():
            return
        await asyncio.sleep(LOOK_AGAIN_S)


def _in_blocks(sound: Sound) -> list[Block]:
    padded = np.pad(sound, (0, -len(sound) % BLOCK_SAMPLES))
    return np.split(padded, len(padded) // BLOCK_SAMPLES)


def _luma(frame: av.VideoFrame) -> Luma:
    return np.asarray(frame.to_ndarray(format="yuv420p")[: frame.height], np.uint8)
