"""How many bits, pictures and points the bed's one picture may have, from what its viewers report. Pure.

Theory of operation
-------------------
Each viewer has an *estimate* of what its path carries, in bits per second: the smaller of what the viewer itself
estimates (REMB) and of a bit rate that moves with its reports, about one a second, by the loss rule of Google's
congestion control (draft-ietf-rmcat-gcc-02, section 6). The two are kept apart, so that a dip of the one leaves the
other where it was. Loss is smoothed over some reports: of 60 packets at 5 %, six are lost every few seconds by
chance, and at a steady loss nothing would ever undo what was taken for it.

| smoothed loss | round trip | bit rate by loss |
|---|---|---|
| above 10 % | any | times (1 - loss / 2) |
| 2 to 10 % | any | stays: Wi-Fi loses that much without being full, and RTX brings it back |
| below 2 % | above 0.4 s | stays: a queue is filling somewhere |
| below 2 % | up to 0.4 s | times 1.08 |

There is one encode for all, so the *target* follows the lowest estimate. A viewer whose path carries no picture is
not allowed to pull the others down: ``SHED_S`` below ``AUDIO_ONLY_BPS`` it is *shed* and gets sound alone. It is
tried again after ``RETRY_S``; each trial that fails within ``TRIAL_S`` doubles the time, up to ``MAX_RETRY_S``. One
viewer that is shed is audio only for the call.

The target's rung follows from the target's bit rate. A rung is left downwards at its lower bound, and upwards only
when the estimate has been ``CLIMB_FACTOR`` above the bound of the next for ``CLIMB_S``:

| rung | bit rate of 720p, lower bound | size | pictures a second |
|---|---|---|---|
| 0 | 700 kb/s | whole | all |
| 1 | 350 kb/s | 3/4 | all |
| 2 | 180 kb/s | 1/2 | all |
| 3 | none | 1/2 | half of them |

Bounds of other sizes go with the square root of their points: small pictures cost more bits a point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

HIGH_LOSS = 0.10
LOW_LOSS = 0.02
HIGH_RTT_S = 0.4
GROWTH = 1.08
REMB_SHARE = 0.95
"""RTX and headers share the path that REMB speaks of."""
LOSS_WEIGHT = 0.25
"""Of the newest report."""
SHED_S = 3.0
"""A browser that was busy for a moment estimates next to nothing, and knows better a second later."""
AUDIO_ONLY_BPS = 80_000
"""Below this a picture is a stain; the issue wants sound instead."""
RETRY_S = 10.0
MAX_RETRY_S = 160.0
TRIAL_S = 10.0
CLIMB_FACTOR = 1.3
CLIMB_S = 4.0
BITS_PER_720P = 2_500_000
START_SHARE = 0.5
"""Of the highest bit rate: what a call begins with, before anybody has reported."""
POINTS_720P = 1280 * 720


@dataclass(frozen=True)
class Rung:
    """One step of the ladder. *above_bps* is for 720p."""

    above_bps: int
    scale: float
    fps_share: float


LADDER = (Rung(700_000, 1, 1), Rung(350_000, 0.75, 1), Rung(180_000, 0.5, 1), Rung(0, 0.5, 0.5))


@dataclass(frozen=True)
class Picture:
    """What the camera gives: points and pictures a second."""

    width: int
    height: int
    fps: int

    @property
    def cost(self) -> float:
        """Of this size, where 720p costs 1."""
        return math.sqrt(self.width * self.height / POINTS_720P)

    @property
    def max_bps(self) -> int:
        """More than this is not seen."""
        return round(BITS_PER_720P * self.cost)


@dataclass(frozen=True)
class Target:
    """What the encoder is to make; *scale* of both sides."""

    bps: int
    scale: float
    fps: int


@dataclass(frozen=True)
class Report:
    """What one viewer says. None: this report does not speak of it. *loss* is 0 to 1, *rtt_s* in seconds."""

    remb_bps: int | None = None
    loss: float | None = None
    rtt_s: float | None = None


@dataclass(frozen=True)
class Path:
    """One viewer's path. *shed*: it gets sound alone, until *retry_at*. Times are monotonic seconds."""

    by_loss_bps: float
    remb_bps: float = math.inf
    loss: float = 0.0
    low_since: float | None = None
    shed: bool = False
    retry_at: float = 0.0
    retry_s: float = RETRY_S
    tried_at: float = -math.inf

    @property
    def estimate_bps(self) -> float:
        """What it carries; never less than a picture needs, since below that none is sent."""
        return max(AUDIO_ONLY_BPS, min(self.by_loss_bps, self.remb_bps * REMB_SHARE))

    @property
    def low(self) -> bool:
        """It carries no picture now."""
        return min(self.by_loss_bps, self.remb_bps * REMB_SHARE) < AUDIO_ONLY_BPS


@dataclass(frozen=True)
class Control:
    """All of it: the paths by viewer, the rung, and since when the next higher rung would fit."""

    picture: Picture
    paths: Mapping[int, Path]
    rung: int = 0
    fits_since: float | None = None

    @property
    def target(self) -> Target | None:
        """What to encode, or None while no viewer gets pictures."""
        bps = lowest(self)
        if bps is None:
            return None
        rung, picture = LADDER[self.rung], self.picture
        return Target(
            bps=round(bps),
            scale=rung.scale,
            fps=max(1, round(picture.fps * rung.fps_share)),
        )

    def shows(self, viewer: int) -> bool:
        """Whether *viewer* gets pictures."""
        return viewer in self.paths and not self.paths[viewer].shed


def begin(picture: Picture) -> Control:
    """Nobody watches yet."""
    return Control(picture, {})


def resized(control: Control, picture: Picture, now: float) -> Control:
    """The camera gives another *picture*: the same share of what it may have goes on."""
    paths = {
        name: replace(path, by_loss_bps=path.by_loss_bps * picture.max_bps / control.picture.max_bps)
        for name, path in control.paths.items()
    }
    return _climbed(replace(control, picture=picture, paths=paths), now)


def joined(control: Control, viewer: int, now: float) -> Control:
    """*viewer* begins to watch."""
    path = Path(control.picture.max_bps * START_SHARE)
    return _climbed(replace(control, paths={**control.paths, viewer: path}), now)


def left(control: Control, viewer: int, now: float) -> Control:
    """*viewer* watches no more."""
    paths = {name: path for name, path in control.paths.items() if name != viewer}
    return _climbed(replace(control, paths=paths), now)


def reported(control: Control, viewer: int, report: Report, now: float) -> Control:
    """*viewer* has reported. A viewer that has left is not listened to."""
    if viewer not in control.paths:
        return control
    path = _heard(control.paths[viewer], report, control.picture.max_bps, now)
    return _climbed(replace(control, paths={**control.paths, viewer: path}), now)


def ticked(control: Control, now: float) -> Control:
    """Time has passed: a viewer that was shed may be tried again."""
    paths = {name: _ticked(path, control.picture, now) for name, path in control.paths.items()}
    return _climbed(replace(control, paths=paths), now)


def lowest(control: Control) -> float | None:
    """The lowest estimate of those that get pictures."""
    return min((path.estimate_bps for path in control.paths.values() if not path.shed), default=None)


def _heard(path: Path, report: Report, max_bps: float, now: float) -> Path:
    if path.shed:
        return path  # what it says is of the time before, or of sound alone
    if report.remb_bps is not None:
        path = replace(path, remb_bps=report.remb_bps)
    if report.loss is not None:
        loss = path.loss + LOSS_WEIGHT * (report.loss - path.loss)
        path = replace(path, loss=loss, by_loss_bps=min(max_bps, _by_loss(path.by_loss_bps, loss, report.rtt_s)))
    return _judged(path, now)


def _judged(path: Path, now: float) -> Path:
    """Whether it goes on getting pictures."""
    if not path.low:
        retry_s = RETRY_S if now - path.tried_at > TRIAL_S else path.retry_s
        return replace(path, low_since=None, retry_s=retry_s)
    if path.low_since is None:
        return replace(path, low_since=now)
    if now - path.low_since < SHED_S:
        return path
    retry_s = min(2 * path.retry_s, MAX_RETRY_S) if path.low_since - path.tried_at <= TRIAL_S else RETRY_S
    return replace(path, shed=True, retry_s=retry_s, retry_at=now + retry_s)


def _by_loss(bps: float, loss: float, rtt_s: float | None) -> float:
    if loss > HIGH_LOSS:
        return bps * (1 - loss / 2)
    if loss >= LOW_LOSS or (rtt_s is not None and rtt_s > HIGH_RTT_S):
        return bps
    return bps * GROWTH


def _ticked(path: Path, picture: Picture, now: float) -> Path:
    if not path.shed:
        return _judged(path, now)
    if now < path.retry_at:
        return path
    start = min(2.0 * AUDIO_ONLY_BPS, picture.max_bps)
    return Path(start, retry_s=path.retry_s, tried_at=now)


def _climbed(control: Control, now: float) -> Control:
    """The rung that fits: downwards at once, upwards one at a time and after a while."""
    bps = lowest(control)
    if bps is None:
        return replace(control, fits_since=None)
    cost = control.picture.cost
    rung = control.rung
    while bps < LADDER[rung].above_bps * cost:
        rung += 1
    if rung > control.rung:
        return replace(control, rung=rung, fits_since=None)
    if rung == 0 or bps < CLIMB_FACTOR * LADDER[rung - 1].above_bps * cost:
        return replace(control, fits_since=None)
    if control.fits_since is None:
        return replace(control, fits_since=now)
    if now - control.fits_since < CLIMB_S:
        return control
    return replace(control, rung=rung - 1, fits_since=None)
