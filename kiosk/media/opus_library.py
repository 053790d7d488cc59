"""The system's libopus by ctypes: the only way to its concealment and in-band FEC (PyAV's decoder has neither).

Debian's package is ``libopus0``, for amd64 and arm64 alike. The functions' meaning: ``opus.h`` of libopus 1.3.1,
"Opus Decoder". One decoder belongs to one thread at a time; a call takes tens of microseconds and lets other
threads run.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from ctypes import POINTER, byref, c_char_p, c_int, c_int16, c_int32, c_void_p

import numpy as np

from kiosk.errors import MediaError
from kiosk.hardware.sound import SAMPLE_RATE, Block
from kiosk.media.opus_packet import MAX_SAMPLES

LIBRARY = "libopus.so.0"
OK = 0
RESET_STATE = 4028
"""``OPUS_RESET_STATE`` of opus_defines.h."""
CONCEAL_STEP = SAMPLE_RATE // 400
"""Concealment comes in steps of 2.5 ms."""


@functools.cache
def library() -> ctypes.CDLL:
    """The library with its functions declared. Raises :exc:`MediaError` when it is not there."""
    try:
        opus = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise MediaError(f"{LIBRARY} cannot be loaded: {error}; install Debian's package libopus0") from None
    opus.opus_get_version_string.argtypes = []
    opus.opus_get_version_string.restype = c_char_p
    opus.opus_strerror.argtypes = [c_int]
    opus.opus_strerror.restype = c_char_p
    opus.opus_decoder_create.argtypes = [c_int32, c_int, POINTER(c_int)]
    opus.opus_decoder_create.restype = c_void_p
    opus.opus_decoder_destroy.argtypes = [c_void_p]
    opus.opus_decoder_destroy.restype = None
    # opus_decoder_ctl takes "..."; a request without argument needs no more than these two.
    opus.opus_decoder_ctl.argtypes = [c_void_p, c_int]
    opus.opus_decoder_ctl.restype = c_int
    opus.opus_decode.argtypes = [c_void_p, c_char_p, c_int32, POINTER(c_int16), c_int, c_int]
    opus.opus_decode.restype = c_int
    return opus


def version() -> str:
    """Such as ``libopus 1.3.1``. Raises :exc:`MediaError`."""
    return bytes(library().opus_get_version_string()).decode()


class LibraryDecoder:
    """Decodes one stream to mono, 48 kHz (see :class:`kiosk.media.opus_decoder.OpusDecoder`)."""

    def __init__(self) -> None:
        """Raises :exc:`MediaError` when the library is missing."""
        self._opus = library()
        error = c_int(OK)
        state = self._opus.opus_decoder_create(SAMPLE_RATE, 1, byref(error))
        if not state:
            raise MediaError(f"no Opus decoder: {self._words(error.value)}")
        self._state = c_void_p(state)
        weakref.finalize(self, self._opus.opus_decoder_destroy, self._state)
        self._room = np.empty(MAX_SAMPLES, np.int16)
        self._room_at = self._room.ctypes.data_as(POINTER(c_int16))

    def decode(self, payload: bytes) -> Block:
        """The sound of *payload*. Raises :exc:`MediaError`."""
        return self._decode(payload, MAX_SAMPLES, mends=0)

    def mend(self, payload: bytes, samples: int) -> Block:
        """The *samples* before *payload*, from the copy in it. Raises :exc:`MediaError`."""
        return self._decode(payload, _steps(samples), mends=1)[:samples]

    def conceal(self, samples: int) -> Block:
        """*samples* that follow from what was before. Raises :exc:`MediaError`."""
        return self._decode(None, _steps(samples), mends=0)[:samples]

    def reset(self) -> None:
        """Forget what was before: another stream begins."""
        self._opus.opus_decoder_ctl(self._state, RESET_STATE)

    def _decode(self, payload: bytes | None, room: int, *, mends: int) -> Block:
        length = len(payload) if payload is not None else 0
        done = self._opus.opus_decode(self._state, payload, length, self._room_at, room, mends)
        if done < 0:
            raise MediaError(f"Opus of {length} bytes not understood: {self._words(done)}")
        return self._room[:done].copy()

    def _words(self, error: int) -> str:
        return bytes(self._opus.opus_strerror(error)).decode()


def _steps(samples: int) -> int:
    return min(MAX_SAMPLES, -(-samples // CONCEAL_STEP) * CONCEAL_STEP)
