"""Reads what aiortc counts of one connection, in our units (:class:`~kiosk.media.quality.Totals`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kiosk.media.playout_words import Report
from kiosk.media.quality import Totals

CLOCKS_HZ = {"audio": 48_000, "video": 90_000}
FRACTION = 256
"""A receiver report's *fraction lost* is of this (RFC 3550 §6.4.1); aiortc hands it on as it is."""


def totals(stats: Iterable[Any], *, sound: Report | None, frames: int, at: float) -> Totals:
    """*stats*: the reports of ``getStats``; *sound*: what the playout counts; *frames*: pictures that came so far.

    What came and what was lost is counted of the sound, by the playout: aiortc's numbers for pictures mix the
    stream with its retransmissions. Loss and round trip are those of the worst stream that is sent.
    """
    sound = sound or Report()
    loss_out: list[float] = []
    rtt_ms: list[float] = []
    jitter_ms: float | None = None
    bytes_in = bytes_out = 0
    for found in stats:
        if found.type == "remote-inbound-rtp":
            loss_out.append(found.fractionLost / FRACTION)
            if found.roundTripTime is not None:
                rtt_ms.append(found.roundTripTime * 1000)
        elif found.type == "inbound-rtp" and found.kind == "audio":
            jitter_ms = found.jitter * 1000 / CLOCKS_HZ[found.kind]
        elif found.type == "transport":
            bytes_in += found.bytesReceived
            bytes_out += found.bytesSent
    return Totals(
        at=at,
        packets=sound.received - sound.doubled - sound.unusable,
        lost=sound.lost,
        late=sound.late,
        loss_out=max(loss_out, default=None),
        rtt_ms=max(rtt_ms, default=None),
        jitter_ms=jitter_ms,
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        frames=frames,
        played=sound.decoded + sound.mended + sound.concealed + sound.silent,
        concealed=sound.concealed + sound.silent,
    )
