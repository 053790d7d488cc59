"""What an Opus packet says of itself without being decoded: how long it sounds, whether it mends the one before.

Pure. Source: RFC 6716 §3.1 (the first byte), §3.2 (frames in a packet), §4.2.3 to §4.2.4 (the bits that begin a
SILK frame: one of voice activity for each 20 ms, then one that says whether a low-rate copy of the packet before is
in it; both come first, so they are the top bits of the first frame's first byte).
"""

from __future__ import annotations

from dataclasses import dataclass

RTP_CLOCK = 48_000
"""Whatever is coded, RFC 7587 §4.1."""
MAX_SAMPLES = RTP_CLOCK * 120 // 1000
"""The longest a packet may sound, RFC 6716 §3.2.5."""
DTX_BYTES = 2
"""A packet of no more sounds like nothing: the sender has gone quiet (RFC 7587 §3.1.3)."""

_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)
"""Samples of a frame at 48 kHz, by the configuration's last bits (RFC 6716 table 2)."""
_FIRST_HYBRID, _FIRST_CELT = 12, 16
_SILK_FRAME = 960


@dataclass(frozen=True)
class OpusPacket:
    """``samples``: its length at 48 kHz. ``mends``: it carries a copy of the packet before (in-band FEC)."""

    samples: int
    mends: bool
    quiet: bool
    """The sender has gone quiet (DTX)."""


def inspect(payload: bytes) -> OpusPacket | None:
    """Look at *payload*; ``None`` when it is no Opus packet."""
    if not payload:
        return None
    configuration, code = payload[0] >> 3, payload[0] & 3
    header = _frames(payload, code)
    if header is None:
        return None
    frames, first = header
    length = _frame_samples(configuration)
    if frames * length > MAX_SAMPLES:
        return None
    quiet = len(payload) <= DTX_BYTES
    stereo = bool(payload[0] & 4)
    mends = configuration < _FIRST_CELT and not quiet and _has_copy(payload, first, length, stereo=stereo)
    return OpusPacket(samples=frames * length, mends=mends, quiet=quiet)


def _frame_samples(configuration: int) -> int:
    if configuration < _FIRST_HYBRID:
        return _SILK[configuration & 3]
    if configuration < _FIRST_CELT:
        return _HYBRID[configuration & 1]
    return _CELT[configuration & 3]


def _frames(payload: bytes, code: int) -> tuple[int, int] | None:
    """How many frames there are and where the first begins; ``None``: malformed."""
    if code == 0:
        return 1, 1
    if code == 1:
        return (2, 1) if len(payload) % 2 else None
    if len(payload) < 2:
        return None
    if code == 2:
        return 2, 2 if payload[1] < 252 else 3
    return _many_frames(payload)


def _many_frames(payload: bytes) -> tuple[int, int] | None:
    variable, padded, frames = payload[1] & 0x80, payload[1] & 0x40, payload[1] & 0x3F
    at = 2
    while padded and at < len(payload):
        at += 1
        padded = payload[at - 1] == 255
    if variable:
        for _ in range(frames - 1):
            if at >= len(payload):
                return None
            at += 1 if payload[at] < 252 else 2
    return (frames, at) if frames else None


def _has_copy(payload: bytes, first: int, length: int, *, stereo: bool) -> bool:
    if first >= len(payload):
        return False
    voice_bits = max(1, length // _SILK_FRAME)
    bits = payload[first]
    copies = [voice_bits, 2 * voice_bits + 1] if stereo else [voice_bits]
    return any(bits & (0x80 >> place) for place in copies)
