"""Whether microphone and speaker work, by what the microphone heard while the speaker chirped.

Pure.

Theory of operation
===================

One loop, two parts to blame. The microphone is judged first and alone: a real one in a real room is never still
(``media/dead_microphone.py``). Only one that hears can judge the speaker.

====================================  =================  ==========================
the microphone                        microphone         speaker
====================================  =================  ==========================
is missing, failed, or hears nothing  that               cannot be judged
hears, and hears the chirp            in order           in order, or late, or weak
hears, but not the chirp              in order           not heard
====================================  =================  ==========================

What a device says of itself goes before all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.check.chirp import Heard
from kiosk.check.findings import Finding, Part, doubtful, faulty, fine, skipped

LATE_MS = 400
"""From the program to the program again. In a call it adds to the network's way; ITU-T G.114 calls 400 ms from
mouth to ear unacceptable."""
WEAK_DB = -40.0
"""Against what was given to the device. The bench's room is 3 dB below, a pillow some 20."""


@dataclass(frozen=True)
class Loop:
    """What came of it. Levels in dB, full scale or against what was played."""

    blocks: int = 0
    """That the microphone delivered."""
    living: bool = False
    """Anything moved in them."""
    noise_dbfs: float = 0.0
    """Before the chirp."""
    chirp: Heard | None = None
    delay_ms: float = 0.0
    """From the chirp's being given to the speaker's device until it came from the microphone's."""
    given: bool = False
    """The speaker's device took the chirp."""
    microphone_fault: str = ""
    speaker_fault: str = ""


def judge_microphone(loop: Loop) -> Finding:
    """What is to be said of the microphone."""
    if loop.microphone_fault:
        return faulty(Part.MICROPHONE, "device_fault", why=loop.microphone_fault)
    if not loop.blocks:
        return faulty(Part.MICROPHONE, "microphone_silent")
    if not loop.living:
        return faulty(Part.MICROPHONE, "microphone_dead")
    return fine(Part.MICROPHONE, "microphone_ok", noise_dbfs=round(loop.noise_dbfs))


def judge_speaker(loop: Loop) -> Finding:
    """What is to be said of the speaker."""
    if loop.speaker_fault:
        return faulty(Part.SPEAKER, "device_fault", why=loop.speaker_fault)
    if not loop.given:
        return faulty(Part.SPEAKER, "speaker_takes_nothing")
    if loop.microphone_fault or not loop.living:
        return skipped(Part.SPEAKER, "speaker_unjudged")
    if loop.chirp is None or not loop.chirp.found:
        return faulty(Part.SPEAKER, "speaker_unheard")
    figures = {"loss_db": round(-loop.chirp.gain_db), "delay_ms": round(loop.delay_ms)}
    if loop.chirp.gain_db < WEAK_DB:
        return doubtful(Part.SPEAKER, "speaker_weak", **figures)
    if loop.delay_ms > LATE_MS:
        return doubtful(Part.SPEAKER, "speaker_late", **figures)
    return fine(Part.SPEAKER, "speaker_ok", **figures)
