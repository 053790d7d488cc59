"""ALSA devices in the kiosk's one form of sound, or a clear word why not.

pyalsaaudio is imported when first used: a laptop without ALSA's headers runs without it. Its ``PCM`` takes whatever
rate and channels the device has to offer and says nothing, so what was granted is compared with what was asked.

``read`` and ``write`` release Python's lock while they wait, return -EPIPE after an over- or underrun (and have
recovered from it), and raise :func:`alsa_error` when the device is gone. ``close`` plays out what is buffered.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import logging
from typing import Any

from kiosk.errors import HardwareFault
from kiosk.hardware.sound import BLOCK_SAMPLES, SAMPLE_RATE

log = logging.getLogger(__name__)


def open_pcm(what: str, device: str, *, capture: bool, periods: int, period: int = BLOCK_SAMPLES) -> Any:
    """An ALSA PCM with *periods* of *period* samples each; *what* names its use. Raises :exc:`HardwareFault`."""
    try:
        alsa = importlib.import_module("alsaaudio")
    except ImportError:
        raise HardwareFault(f"{what} {device}: the Python package pyalsaaudio is not installed") from None
    _log_instead_of_printing()
    try:
        pcm = alsa.PCM(
            type=alsa.PCM_CAPTURE if capture else alsa.PCM_PLAYBACK,
            mode=alsa.PCM_NORMAL,
            rate=SAMPLE_RATE,
            channels=1,
            format=alsa.PCM_FORMAT_S16_LE,
            periodsize=period,
            periods=periods,
            device=device,
        )
    except alsa.ALSAAudioError as error:
        lister = "arecord -L" if capture else "aplay -L"
        raise HardwareFault(
            f"{what} {device}: cannot be opened: {error} (is it plugged in, and free? {lister} lists the devices)"
        ) from None
    granted = pcm.info()
    form = (granted["rate"], granted["channels"], granted["format"])
    if form != (SAMPLE_RATE, 1, alsa.PCM_FORMAT_S16_LE):
        pcm.close()
        raise HardwareFault(
            f"{what} {device}: gives {granted['rate']} Hz, {granted['channels']} channels, {granted['format_name']}"
            f" instead of {SAMPLE_RATE} Hz, 1 channel, S16_LE; a device that converts, such as"
            f" plug{device if device.startswith('hw:') else 'hw:0'}, can be set"
        )
    return pcm


def alsa_error() -> type[Exception]:
    """What pyalsaaudio raises. Only after :func:`open_pcm` has succeeded."""
    error: type[Exception] = importlib.import_module("alsaaudio").ALSAAudioError
    return error


_ErrorHandler = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)


def _log_message(file: bytes, line: int, function: bytes, error: int, words: bytes) -> None:
    # The C function takes more arguments, for the %s of *words*; they cannot be reached from here.
    log.debug("- alsa-lib: %s:%d %s: %s", file.decode(), line, function.decode(), words.decode())


_log_message_for_c = _ErrorHandler(_log_message)
"""Kept for as long as the process lives, as alsa-lib keeps its address."""


@functools.cache
def _log_instead_of_printing() -> None:
    """alsa-lib writes half a screen to stderr when a device is missing, which :exc:`HardwareFault` says better."""
    try:
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_log_message_for_c)
    except (OSError, AttributeError):
        log.debug("- alsa-lib keeps printing its own messages")
