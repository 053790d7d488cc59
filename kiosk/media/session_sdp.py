"""The words of SDP that aiortc has none for: what is asked of the voice, and what an answer must have. Pure."""

from __future__ import annotations

import re

from kiosk.errors import MediaError

MAX_SDP_BYTES = 64 * 1024
VOICE_FORMAT = "minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0"


def check_answer(sdp: str) -> None:
    """Raise :exc:`MediaError` when *sdp* is no answer to be parsed."""
    if len(sdp) > MAX_SDP_BYTES:
        raise MediaError(f"the answer has {len(sdp)} bytes; at most {MAX_SDP_BYTES} are allowed")
    if "a=fingerprint:" not in sdp:
        raise MediaError("the answer names no key (a=fingerprint): refused, as RFC 8827 demands")


def with_fec(sdp: str) -> str:
    """*sdp*, in which the far end is asked for mono with in-band FEC and told that it gets mono (RFC 7587 §7)."""
    return re.sub(r"(a=rtpmap:(\d+) opus/48000/2\r?\n)", rf"\1a=fmtp:\2 {VOICE_FORMAT}\r\n", sdp)
