"""Takes out of what the microphone hears what the loudspeaker said, and the ward's noise; evens the voice out.

A port with two implementations: :class:`WebrtcEchoControl`, WebRTC's own processing (AEC3, noise suppression, gain
control, high-pass) from the package ``livekit``; and :class:`NoEchoControl` for handsets and speakerphones that do
it themselves. livekit it is because of 40 dB and more of attenuation in a simulated room, a tolerance of wrong
delays, 0.2 ms for each 10 ms on a PC, and a wheel for the Pi (facts/media §6). The package is large and optional:
without it calls go on, with their echo, and that is logged.

Threads: :meth:`EchoControl.captured` is called on the microphone's thread, :meth:`EchoControl.played` on the
speaker's, at the same time; never on the event loop. Blocks are whole tens of milliseconds, mono, 16 bit, 48 kHz.
"""

from __future__ import annotations

import importlib
import logging
from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np

from kiosk.errors import MediaError
from kiosk.hardware.sound import SAMPLE_RATE, Block

log = logging.getLogger(__name__)

STEP_SAMPLES = SAMPLE_RATE // 100
"""WebRTC's processing takes exactly 10 ms at a time."""
MOST_DELAY_MS = 500
"""What WebRTC accepts for a delay."""


class EchoControl(ABC):
    """What is played is told to it, what is captured goes through it. Neither raises."""

    name: str

    @abstractmethod
    def begin(self) -> None:
        """A call begins: forget the last one's. Before any block of it, on any thread. Raises :exc:`MediaError`."""

    @abstractmethod
    def played(self, block: Block, *, delay_s: float) -> None:
        """*block* is on its way and will be heard in *delay_s*: after playout, ring, volume and limiter."""

    @abstractmethod
    def captured(self, block: Block, *, delay_s: float) -> Block:
        """*block*, whose first sample was heard *delay_s* ago, without the echo of what was played."""

    @abstractmethod
    def end(self) -> None:
        """The call is over. May be called twice."""


class NoEchoControl(EchoControl):
    """Everything as it is."""

    name = "none"

    def begin(self) -> None:
        """Nothing."""

    def played(self, block: Block, *, delay_s: float) -> None:
        """Nothing."""

    def captured(self, block: Block, *, delay_s: float) -> Block:
        """*block*."""
        return block

    def end(self) -> None:
        """Nothing."""


class WebrtcEchoControl(EchoControl):
    """livekit's ``AudioProcessingModule``; a new one for each call, as the room may have changed.

    A step that fails is passed on as it is and logged once: a voice with an echo is better than none. If the
    library itself panics, it ends the process with SIGTERM; the service is started again, with its request.
    """

    name = "WebRTC's echo cancellation, noise suppression and gain control"

    def __init__(self, *, gain_control: bool = True) -> None:
        """Loads the library (a quarter of a second, 26 MB). Raises :exc:`MediaError`."""
        try:
            module: Any = importlib.import_module("livekit.rtc.apm")
            self._make: Any = module.AudioProcessingModule
            self._frame: Any = importlib.import_module("livekit.rtc.audio_frame").AudioFrame
        except ImportError as error:
            raise MediaError(f"no echo control: {error} (the Python package livekit)") from None
        self._gain_control = gain_control
        self._processing: Any = None
        self._until_heard_s = 0.0
        self._failed = False
        self.begin()
        self.end()

    def begin(self) -> None:
        """A new module, which knows nothing of the room yet. Raises :exc:`MediaError`."""
        try:
            processing = self._make(
                echo_cancellation=True,
                noise_suppression=True,
                high_pass_filter=True,
                auto_gain_control=self._gain_control,
            )
        except Exception as error:  # a native library's loader raises what it likes
            raise MediaError(f"no echo control: {error}") from None
        self._failed, self._until_heard_s = False, 0.0
        self._processing = processing

    def played(self, block: Block, *, delay_s: float) -> None:
        """Analyse *block* as the reference."""
        processing = self._processing
        if processing is None:
            return
        self._until_heard_s = delay_s
        self._in_steps(block, processing.process_reverse_stream)

    def captured(self, block: Block, *, delay_s: float) -> Block:
        """*block* without echo and noise."""
        processing = self._processing
        if processing is None:
            return block
        delay_ms = min(MOST_DELAY_MS, max(0, round(1000 * (self._until_heard_s + delay_s))))

        def process(frame: Any) -> None:
            processing.set_stream_delay_ms(delay_ms)
            processing.process_stream(frame)

        return self._in_steps(block, process)

    def end(self) -> None:
        """Let the module go."""
        self._processing = None

    def _in_steps(self, block: Block, act: Any) -> Block:
        if len(block) % STEP_SAMPLES:  # the library would end the whole process
            self._told_once(f"{len(block)} samples are no tens of milliseconds")
            return block
        done: list[Block] = []
        for start in range(0, len(block), STEP_SAMPLES):
            step = block[start : start + STEP_SAMPLES]
            room = bytearray(step.tobytes())
            frame = self._frame(room, SAMPLE_RATE, 1, len(step))
            try:
                act(frame)
            except Exception as error:  # see the class
                self._told_once(error)
                return block
            done.append(np.frombuffer(bytes(frame.data.cast("B")), np.int16))
        return np.concatenate(done)

    def _told_once(self, error: object) -> None:
        if not self._failed:
            self._failed = True
            log.warning("x echo control fails, the sound goes through as it is: %s", error)


def choose_echo_control(wanted: Literal["auto", "none"]) -> EchoControl:
    """What the settings ask for, or none where it cannot be had, which is logged."""
    if wanted == "none":
        return NoEchoControl()
    try:
        return WebrtcEchoControl()
    except MediaError as error:
        log.warning("x %s; whoever speaks at the seat hears themselves from the bed", error)
        return NoEchoControl()
