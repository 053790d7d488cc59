"""Makes key frames whole: an H.264 decoder that joins needs the headers (SPS, PPS) before the first picture. Pure.

A picture comes as Annex B (ITU-T H.264): units, each after a start code 00 00 01. A unit's kind is in the low five
bits of its first byte: 5 is a slice of a key frame (IDR), 7 an SPS, 8 a PPS. picamera2 asks the encoder to repeat
the headers, and throws away a buffer that holds headers alone: what comes with a key frame is not to be relied on.
"""

from __future__ import annotations

START_CODE = b"\x00\x00\x01"
LONG_START_CODE = b"\x00" + START_CODE
IDR, SPS, PPS = 5, 7, 8


def units(data: bytes) -> list[bytes]:
    """The units of *data*, without start codes; what stands before the first is none."""
    found = data.split(START_CODE)[1:]
    # Zeros before a start code belong to it: no unit ends in one (§7.4.1).
    return [unit.rstrip(b"\x00") for unit in found if unit.rstrip(b"\x00")]


class Headers:
    """The newest headers of one stream."""

    def __init__(self) -> None:
        self._newest: dict[int, bytes] = {}

    def before(self, data: bytes) -> bytes | None:
        """The key frame *data* with both headers; None: it is no key frame, or they have never come."""
        of = {unit[0] & 31: unit for unit in units(data)}
        self._newest |= {kind: of[kind] for kind in (SPS, PPS) if kind in of}
        if IDR not in of or len(self._newest) < 2:
            return None
        missing = [LONG_START_CODE + self._newest[kind] for kind in (SPS, PPS) if kind not in of]
        return b"".join(missing) + data
