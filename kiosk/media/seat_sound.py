"""What the bed hears of the seat: packets from the connection, blocks for the speaker, levels for the loop.

Threads: packets come on the loop's thread. The speaker's thread pulls its blocks itself, at the device's own pace;
each block's level crosses back to the loop. When no device pulls (there is none, it hangs, it is being opened) the
loop does, and gives the blocks to the speaker's queue: speech is still noticed, and a hanging device is still told.

A fault of ours in the playout costs a block of silence, and what was waiting: it begins anew. One that comes again
and again makes the sound :attr:`SeatSound.broken`, and the connection is rebuilt (:mod:`kiosk.media.session`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from aiortc.rtp import RtpPacket

from kiosk.hardware.levels import rms_dbfs
from kiosk.hardware.sound import BLOCK_S, SAMPLE_RATE, Block
from kiosk.hardware.speaker import SILENCE
from kiosk.media.call_devices import CallDevices
from kiosk.media.opus_decoder import new_decoder
from kiosk.media.playout_words import Arrived, Report
from kiosk.media.received_sound import ReceivedSound

log = logging.getLogger(__name__)

IDLE_S = 0.2
"""A device that has not pulled for so long does not: its own buffer holds 60 ms."""
LOOK_S = 0.1
NEW_BEGINNINGS = 3
"""Of the playout in one connection: what ails it after them is not its state."""


class SeatSound:
    """The sound of one received track, on its way to the speaker of *devices*.

    *heard* is called on the loop with each block's level in dB full scale.
    """

    def __init__(self, devices: CallDevices, *, heard: Callable[[float], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._devices = devices
        self._heard = heard
        self._sound = ReceivedSound(new_decoder())
        self._pulled_at = time.monotonic()
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

    async def play(self) -> None:
        """Let the speaker play it until cancelled."""
        self._devices.feed(self._pull)
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                self._pull_for_an_idle_device()
        finally:
            self._devices.starve(self._pull)

    def _pull_for_an_idle_device(self) -> None:
        idle_s = time.monotonic() - self._pulled_at
        if idle_s < IDLE_S:
            return
        for _ in range(round(LOOK_S / BLOCK_S)):
            self._devices.play(self._block())

    def _pull(self) -> Block:
        self._pulled_at = time.monotonic()
        return self._block()

    def _block(self) -> Block:
        """The next block and, to the loop, its level. Must not raise: a device's thread would end by it."""
        try:
            block = self._sound.pull(at=time.monotonic())
        except Exception:
            self._begin_anew()
            return SILENCE
        try:
            self._loop.call_soon_threadsafe(self._heard, rms_dbfs(block))
        except RuntimeError:
            return SILENCE  # the loop is closed: the process is ending
        return block

    def _begin_anew(self) -> None:
        if self.broken:
            return
        if self._begun_anew == NEW_BEGINNINGS:
            self.broken = True
            log.error("x received sound cannot be played", exc_info=True)
            return
        self._begun_anew += 1
        log.warning("x the playout of received sound failed and begins anew", exc_info=True)
        self._sound = ReceivedSound(new_decoder())


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
