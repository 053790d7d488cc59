"""A simulated microphone that hears the simulated speaker: as loud as in a small room, a little later, and with the
noise that no real room and no real microphone is without.
"""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from kiosk.hardware.microphone import PacedMicrophone
from kiosk.hardware.sound import BLOCK_SAMPLES, Block
from kiosk.hardware.speaker import SILENCE, SimulatedSpeaker

DELAY_BLOCKS = 2
"""40 ms, as in ``kiosk bench echo``."""
MOST_BLOCKS = 2 * DELAY_BLOCKS
"""A microphone whose thread woke late leaves the rest out, as an overrun does."""
LOSS = 0.7
"""3 dB."""
NOISE = 18.0
"""Standard deviation in steps: -65 dBFS."""


class RoomMicrophone(PacedMicrophone):
    """Hears *speaker* while it is open. ``muted``: gives exact silence, as one that is switched off does."""

    def __init__(self, speaker: SimulatedSpeaker, *, seed: int = 0) -> None:
        super().__init__()
        self.name = "simulated room"
        self.muted = False
        self._chance = np.random.default_rng(seed)
        self._lock = threading.Lock()
        self._air: deque[Block] = deque(maxlen=MOST_BLOCKS)
        speaker.air = self._sounds

    def _sounds(self, block: Block) -> None:
        """On the speaker's thread."""
        with self._lock:
            self._air.append(block)

    def _block(self, number: int) -> Block:
        with self._lock:
            heard = self._air.popleft() if len(self._air) > DELAY_BLOCKS else SILENCE
        if self.muted:
            return SILENCE
        noise = self._chance.normal(0.0, NOISE, BLOCK_SAMPLES)
        return np.clip(heard * LOSS + noise, -32768, 32767).astype(np.int16)
