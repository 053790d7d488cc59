"""The Opus decoder's port, its choice, and the one that is left where libopus is missing.

A decoder belongs to one thread at a time and gives mono, signed 16 bit, 48 kHz.
"""

from __future__ import annotations

import logging
from typing import Protocol

import av
import av.error
import numpy as np

from kiosk.errors import MediaError
from kiosk.hardware.sound import SAMPLE_RATE, Block
from kiosk.media import opus_library

log = logging.getLogger(__name__)

FADE = 0.5
"""Each repeated 20 ms is so much quieter: a repeated sound that does not fade is a hum."""
MAX_KEPT = SAMPLE_RATE // 50


class OpusDecoder(Protocol):
    """Decodes the packets of one stream, in their order.

    Each may raise :exc:`MediaError`; the decoder can be used further then.
    """

    def decode(self, payload: bytes) -> Block:
        """The sound of *payload*, an Opus packet."""

    def mend(self, payload: bytes, samples: int) -> Block:
        """The *samples* before *payload*, from the copy of them in it (in-band FEC); asked for before it is
        decoded itself."""

    def conceal(self, samples: int) -> Block:
        """*samples* (at most 120 ms) in the place of a packet that did not come."""

    def reset(self) -> None:
        """Another stream begins."""


def new_decoder() -> OpusDecoder:
    """libopus, or what is left without it; which is logged."""
    try:
        decoder = opus_library.LibraryDecoder()
    except MediaError as error:
        log.warning("x %s; lost sound is concealed poorly until then", error)
        return PlainDecoder()
    log.debug("- received sound is decoded by %s", opus_library.version())
    return decoder


class PlainDecoder:
    """PyAV's decoder, which knows neither concealment nor FEC: the last 20 ms again, ever quieter."""

    def __init__(self) -> None:
        self._codec = _new_codec()
        self._last: Block = np.zeros(MAX_KEPT, np.int16)

    def decode(self, payload: bytes) -> Block:
        """The sound of *payload*. Raises :exc:`MediaError`."""
        try:
            frames = self._codec.decode(av.Packet(payload))
        except av.error.FFmpegError as error:
            raise MediaError(f"Opus of {len(payload)} bytes not understood: {error}") from None
        sound = np.concatenate([np.empty(0, np.int16), *(mono(frame) for frame in frames)])
        if len(sound):
            self._last = sound[-MAX_KEPT:]
        return sound

    def mend(self, payload: bytes, samples: int) -> Block:
        """As if nothing had come."""
        return self.conceal(samples)

    def conceal(self, samples: int) -> Block:
        """The last sound again, there and back so that nothing clicks, and ever quieter."""
        made: list[Block] = []
        missing = samples
        while missing > 0:
            self._last = (self._last[::-1] * FADE).astype(np.int16)
            made.append(self._last[:missing])
            missing -= len(self._last)
        return np.concatenate([np.empty(0, np.int16), *made])

    def reset(self) -> None:
        """Forget what was before."""
        self._codec, self._last = _new_codec(), np.zeros(MAX_KEPT, np.int16)


def _new_codec() -> av.AudioCodecContext:
    codec: av.AudioCodecContext = av.CodecContext.create("libopus", "r")
    codec.sample_rate = SAMPLE_RATE
    codec.layout = "mono"
    codec.format = "s16"
    return codec


def mono(frame: av.AudioFrame) -> Block:
    """The samples of a decoded Opus frame (packed, 16 bit) as one channel."""
    samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels)).astype(np.int32)
    mixed: Block = samples.mean(axis=1).astype(np.int16)
    return mixed
