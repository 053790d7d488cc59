"""How good a call's connection is at one of its ends: figures of the last seconds, and TUICalling's quality.

Pure: times are monotonic seconds and are given.

Theory of operation
===================

Each second an end reads what its connection counts (:class:`Totals`). What happened between two readings, some
seconds apart, is a :class:`Sample`; a single second has too few packets to tell 1 % of loss from 3 %. Each figure
of the sample has four limits (``LIMITS``): up to the first it is excellent, beyond the last very bad. The sample is
as good as its worst figure, and what is not known does not count.

What a person is shown (:class:`Standing`) does not flicker. It gets worse when ``WORSE_AFTER`` samples in a row are
worse, and better when ``BETTER_AFTER`` in a row are better with something to spare (``SPARE``). That nothing comes,
that it comes again, and the first figures of a call are shown at once.

======================  ====================================  ================================
shown                   the sample is worse / better          nothing comes, or nothing known
======================  ====================================  ================================
unknown, disconnected   shown at once                         shown at once
excellent to very bad   after so many in a row                shown at once
======================  ====================================  ================================

The seat page does the same (``page/quality.js``) with the same table, which ``scripts/documents`` writes for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kiosk.signaling.messages import Quality, QualityLevel

EVERY_S = 1.0
SPAN = 4
"""Seconds that a sample is of."""
LEAST_S = 1.5
"""A sample of less is of too few packets, and tells nothing."""
SETTLE = 2
"""Seconds at the beginning of a talk that are not looked at: encoders, decoders and buffers start, and some stand
still for a moment."""
WORSE_AFTER = 2
BETTER_AFTER = 5
SPARE = 0.8
"""Better is what is below this part of a limit."""

LIMITS: Mapping[str, tuple[float, float, float, float]] = {
    # Opus' own copies begin at 1 % (Mozilla 2016; facts/nurse-call §5). At 5 % our playout still covers 98 % of the
    # time; 20 % is where speech is only just intelligible.
    "loss_in": (0.01, 0.03, 0.08, 0.20),
    "loss_out": (0.01, 0.03, 0.08, 0.20),
    # ITU-T G.114: 150 ms from mouth to ear is good, 400 ms unacceptable. Devices and buffers take some 100 ms of it
    # (facts/media §4), the network's way is half of the round trip: 150, 200, 300 and 400 ms.
    "rtt_ms": (100, 200, 400, 600),
    # Of one packet's length, of two, of three; beyond 90 ms our playout waits for nothing (playout.MAX_TARGET_S).
    "jitter_ms": (20, 40, 60, 90),
    # 98 % of the time covered by real sound is the budget at 5 % loss (issue 4).
    "concealed": (0.005, 0.02, 0.05, 0.15),
    # 0.5 s in 20 s is the budget at 5 % loss (issue 4).
    "frozen": (0.025, 0.05, 0.2, 0.5),
}
"""Parts are of 1, times in milliseconds. Tencent's SDKs tell the seven words and no limits."""

_WORSE_THAN = (QualityLevel.GOOD, QualityLevel.POOR, QualityLevel.BAD, QualityLevel.VERY_BAD)


@dataclass(frozen=True)
class Totals:
    """What a connection has counted until *at*. Those that do not only grow are as they were told last."""

    at: float
    packets: int = 0
    """Of sound, that came."""
    lost: int = 0
    """Of sound, that never came."""
    late: int = 0
    """Of sound, that came after their time."""
    loss_out: float | None = None
    """The part that the far end misses, by its last report."""
    rtt_ms: float | None = None
    jitter_ms: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    frames: int = 0
    """Whole pictures that came."""
    played: int = 0
    """Samples of sound given to the speaker."""
    concealed: int = 0
    """Of them, those that were made up, or silent for want of anything."""


@dataclass(frozen=True)
class Sample:
    """What happened in some seconds; None: not known."""

    loss_in: float | None = None
    loss_out: float | None = None
    rtt_ms: float | None = None
    jitter_ms: float | None = None
    kbps_in: float | None = None
    kbps_out: float | None = None
    fps: float | None = None
    concealed: float | None = None
    late: float | None = None
    frozen: float | None = None
    stalled: bool = False
    """There is no connection."""


STALLED = Sample(stalled=True)


@dataclass(frozen=True)
class Standing:
    """What is shown: ``level``, and the sample that came last. ``run``: samples in a row that were worse, or, when
    negative, better than what is shown."""

    level: QualityLevel = QualityLevel.UNKNOWN
    sample: Sample = Sample()
    run: int = 0


def between(before: Totals, after: Totals) -> Sample:
    """What happened between two readings of one connection."""
    seconds = after.at - before.at
    if seconds < LEAST_S:
        return Sample()
    packets, lost = after.packets - before.packets, after.lost - before.lost
    return Sample(
        loss_in=_part(lost, packets + lost),
        loss_out=after.loss_out,
        rtt_ms=after.rtt_ms,
        jitter_ms=after.jitter_ms,
        kbps_in=(after.bytes_in - before.bytes_in) * 8 / 1000 / seconds,
        kbps_out=(after.bytes_out - before.bytes_out) * 8 / 1000 / seconds,
        fps=(after.frames - before.frames) / seconds if after.frames else None,
        concealed=_part(after.concealed - before.concealed, after.played - before.played),
        late=_part(after.late - before.late, packets),
    )


def _part(some: int, whole: int) -> float | None:
    """A packet that was lost may come after all, so that less is lost than before."""
    return min(1.0, max(0.0, some / whole)) if whole > 0 else None


def rate(sample: Sample, *, spare: float = 1.0) -> QualityLevel:
    """The quality of *sample*; *spare*: the limits are only that part of themselves."""
    if sample.stalled:
        return QualityLevel.DISCONNECTED
    worst = QualityLevel.UNKNOWN
    for name, limits in LIMITS.items():
        value: float | None = getattr(sample, name)
        if value is not None:
            level = QualityLevel.EXCELLENT
            for limit, worse in zip(limits, _WORSE_THAN, strict=True):
                level = worse if value > limit * spare else level
            worst = max(worst, level)
    return worst


def judge(before: Standing, sample: Sample) -> Standing:
    """What is shown after *sample*."""
    now = rate(sample)
    extremes = (QualityLevel.UNKNOWN, QualityLevel.DISCONNECTED)
    if now in extremes or before.level in extremes:
        return Standing(now, sample)
    if now > before.level:
        run = max(0, before.run) + 1
        return Standing(now, sample) if run >= WORSE_AFTER else Standing(before.level, sample, run)
    clearly = rate(sample, spare=SPARE)
    if clearly < before.level:
        run = min(0, before.run) - 1
        return Standing(clearly, sample) if -run >= BETTER_AFTER else Standing(before.level, sample, run)
    return Standing(before.level, sample)


def told(call_id: str, standing: Standing) -> Quality:
    """*standing* for the wire."""
    sample = standing.sample
    return Quality(
        call_id=call_id,
        quality=standing.level,
        loss_in=_short(sample.loss_in),
        loss_out=_short(sample.loss_out),
        rtt_ms=_whole(sample.rtt_ms, 60_000),
        jitter_ms=_whole(sample.jitter_ms, 60_000),
        kbps_in=_whole(sample.kbps_in, 1_000_000),
        kbps_out=_whole(sample.kbps_out, 1_000_000),
        fps=_whole(sample.fps, 240),
        concealed=_short(sample.concealed),
        late=_short(sample.late),
        frozen=_short(sample.frozen),
    )


def _short(part: float | None) -> float | None:
    return None if part is None else round(part, 4)


def _whole(value: float | None, most: int) -> int | None:
    return None if value is None else min(most, max(0, round(value)))
