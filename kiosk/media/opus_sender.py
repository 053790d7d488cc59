"""The voice that is sent: mono Opus of 20 ms at speech rates with in-band FEC, whose strength follows the loss.

aiortc's own encoder has no way to either (stereo, 96 kb/s, fixed). The far end's loss comes from
``RTCRtpSender.getStats``.

Encoding takes some 100 µs on a PC and about 1 ms on a Pi: never on the loop. libopus is used by ctypes, as
:mod:`kiosk.media.opus_library` does for decoding: PyAV fixes the expected loss when an encoder is made.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import weakref
from ctypes import POINTER, byref, c_char_p, c_int, c_int16, c_int32, c_void_p
from typing import Protocol

import av
import numpy as np

from kiosk.errors import MediaError
from kiosk.hardware.sound import SAMPLE_RATE, Block
from kiosk.media.opus_library import OK, library
from kiosk.media.sent_voice import Protection

log = logging.getLogger(__name__)

MAX_PACKET_BYTES = 1275
"""The longest packet of one frame (RFC 6716 §3.4)."""
# opus_defines.h of libopus 1.3.1.
APPLICATION_VOIP = 2048
SIGNAL_VOICE = 3001
SET_BITRATE, SET_COMPLEXITY, SET_INBAND_FEC = 4002, 4010, 4012
SET_PACKET_LOSS_PERC, SET_VBR_CONSTRAINT, SET_SIGNAL = 4014, 4020, 4024
COMPLEXITY = 5
"""Of 10: half the work of libopus's own choice, for a difference that speech at these rates hardly shows."""


class VoiceEncoder(Protocol):
    """Encodes one stream of blocks (mono, 16 bit, 48 kHz, 20 ms each) for all who listen.

    ``encode`` may be called on any thread, but on one at a time; ``protect`` on any at any time.
    """

    def protect(self, protection: Protection) -> None:
        """Expect this loss from the next block on."""

    def encode(self, block: Block) -> bytes:
        """The packet of *block*. Raises :exc:`MediaError`."""


class OpusSender:
    """libopus, whose protection follows the loss (see :class:`VoiceEncoder`)."""

    def __init__(self) -> None:
        """Raises :exc:`MediaError` when libopus is missing."""
        self._opus = _library()
        error = c_int(OK)
        state = self._opus.opus_encoder_create(SAMPLE_RATE, 1, APPLICATION_VOIP, byref(error))
        if not state:
            raise MediaError(f"no Opus encoder: {self._words(error.value)}")
        self._state = c_void_p(state)
        weakref.finalize(self, self._opus.opus_encoder_destroy, self._state)
        self._room = ctypes.create_string_buffer(MAX_PACKET_BYTES)
        self._set(SET_SIGNAL, SIGNAL_VOICE)
        self._set(SET_COMPLEXITY, COMPLEXITY)
        self._set(SET_VBR_CONSTRAINT, 1)
        self._set(SET_INBAND_FEC, 1)
        self._wanted, self._set_to = Protection(), 0

    def protect(self, protection: Protection) -> None:
        """Expect this loss from the next block on."""
        self._wanted = protection

    def encode(self, block: Block) -> bytes:
        """The packet of *block*. Raises :exc:`MediaError`."""
        wanted = self._wanted
        if wanted.expected != self._set_to:
            self._set(SET_BITRATE, wanted.bit_rate)
            self._set(SET_PACKET_LOSS_PERC, wanted.expected)
            self._set_to = wanted.expected
        samples = np.ascontiguousarray(block, np.int16)
        at = samples.ctypes.data_as(POINTER(c_int16))
        done = self._opus.opus_encode(self._state, at, len(samples), self._room, MAX_PACKET_BYTES)
        if done < 0:
            raise MediaError(f"{len(samples)} samples cannot be encoded: {self._words(done)}")
        return self._room.raw[:done]

    def _set(self, request: int, value: int) -> None:
        done = self._opus.opus_encoder_ctl(self._state, request, value)
        if done != OK:
            raise MediaError(f"libopus refuses {request} = {value}: {self._words(done)}")

    def _words(self, error: int) -> str:
        return bytes(self._opus.opus_strerror(error)).decode()


class PlainSender:
    """PyAV's encoder, whose protection is that of the beginning, whatever is lost (see :class:`VoiceEncoder`)."""

    def __init__(self) -> None:
        usual = Protection()
        self._codec: av.AudioCodecContext = av.CodecContext.create("libopus", "w")
        self._codec.sample_rate, self._codec.layout, self._codec.format = SAMPLE_RATE, "mono", "s16"
        self._codec.bit_rate = usual.bit_rate
        self._codec.options = {"application": "voip", "fec": "1", "packet_loss": str(usual.expected)}

    def protect(self, protection: Protection) -> None:
        """It has no way to."""

    def encode(self, block: Block) -> bytes:
        """The packet of *block*. Raises :exc:`MediaError`."""
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        try:
            return b"".join(bytes(packet) for packet in self._codec.encode(frame))
        except av.FFmpegError as error:
            raise MediaError(f"{len(block)} samples cannot be encoded: {error}") from None


def new_sender() -> VoiceEncoder:
    """A sender; without libopus the plain one, which is logged."""
    try:
        return OpusSender()
    except MediaError as error:
        log.warning("x %s; the voice that is sent is protected no more when more of it is lost", error)
        return PlainSender()


@functools.cache
def _library() -> ctypes.CDLL:
    opus = library()
    opus.opus_encoder_create.argtypes = [c_int32, c_int, c_int, POINTER(c_int)]
    opus.opus_encoder_create.restype = c_void_p
    opus.opus_encoder_destroy.argtypes = [c_void_p]
    opus.opus_encoder_destroy.restype = None
    opus.opus_encode.argtypes = [c_void_p, POINTER(c_int16), c_int, c_char_p, c_int32]
    opus.opus_encode.restype = c_int32
    # opus_encoder_ctl takes "..."; on Linux, amd64 and arm64 alike, an int there is passed as a named one is.
    opus.opus_encoder_ctl.argtypes = [c_void_p, c_int, c_int32]
    opus.opus_encoder_ctl.restype = c_int
    return opus
