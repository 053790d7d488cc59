"""What the bed hears of one seat: packets from the connection, blocks for the speaker's mix, levels for the call.

Threads: packets come, and levels are told, on the loop's thread; blocks are taken on the speaker's
(:mod:`kiosk.media.speaker_mix`).

A fault of ours in the playout costs a block of silence, and what was waiting: it begins anew. One that comes again
and again makes the sound :attr:`SeatSound.broken`, and the connection is rebuilt (:mod:`kiosk.media.session`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from aiortc.rtp import RtpPacket

from kiosk.hardware.sound import SAMPLE_RATE, Block
from kiosk.hardware.speaker import SILENCE
from kiosk.media.opus_decoder import new_decoder
from kiosk.media.playout_words import Arrived, Decode, Report, Step
from kiosk.media.received_sound import ReceivedSound
from kiosk.media.stages import Stage, Took, nobody

log = logging.getLogger(__name__)

NEW_BEGINNINGS = 3
"""Of the playout in one connection: what ails it after them is not its state."""


class SeatSound:
    """The sound of one received track. *heard* is called on the loop with each block's level in dB full scale."""

    def __init__(self, *, heard: Callable[[float], None], took: Took = nobody) -> None:
        self.heard = heard
        self._took = took
        self._sound = self._new_sound()
        self._begun_anew = 0
        self.broken = False
        """Nothing is played any more: the playout fails, however often it begins anew."""

    @property
    def report(self) -> Report:
        """The playout's figures so far."""
        return self._sound.report

    def take(self, packet: RtpPacket) -> None:
        """Take an RTP packet of Opus, which has arrived just now. Never raises: the connection would end by it."""
        arrived = Arrived(packet.ssrc, packet.sequence_number, packet.timestamp, time.monotonic(), packet.payload)
        try:
            self._sound.take(arrived)
        except Exception:
            self._begin_anew()

    def block(self) -> Block:
        """See :class:`kiosk.media.speaker_mix.Voice`."""
        try:
            return self._sound.pull(at=time.monotonic())
        except Exception:
            self._begin_anew()
            return SILENCE

    def _begin_anew(self) -> None:
        if self.broken:
            return
        if self._begun_anew == NEW_BEGINNINGS:
            self.broken = True
            log.error("x received sound cannot be played", exc_info=True)
            return
        self._begun_anew += 1
        log.warning("x the playout of received sound failed and begins anew", exc_info=True)
        self._sound = self._new_sound()

    def _new_sound(self) -> ReceivedSound:
        return ReceivedSound(new_decoder(), watch=self._watched)

    def _watched(self, step: Step, at: float) -> None:
        if isinstance(step, Decode):
            self._took(Stage.SOUND_PLAYED, at - step.arrived_at)


def in_words(report: Report) -> str:
    """One line for the log."""
    played = report.decoded + report.mended + report.concealed + report.silent
    if not played:
        return "none"

    def part(samples: int) -> str:
        return f"{samples / played:.1%}"

    return (
        f"{played / SAMPLE_RATE:.0f} s, {part(report.mended)} mended, {part(report.concealed)} concealed,"
        f" {part(report.silent)} missing; {report.lost} of {report.received} packets lost, {report.late} late,"
        f" {report.skipped} skipped; waiting {report.delay_s * 1000:.0f} ms"
    )
