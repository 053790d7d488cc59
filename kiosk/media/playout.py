"""When received sound is played: what each pull of the speaker is made of. Pure: times are arguments (monotonic s).

Theory of operation
===================

Packets come unevenly, out of order, twice, late, or never; the speaker pulls 20 ms every 20 ms. In between waits
as much sound as the unevenness needs (:mod:`kiosk.media.jitter`) and no more: a conversation dies of delay.

Words. Positions are RTP time stamps, unwrapped, at 48 kHz. ``due`` is the position of the next sample to decode.
Its *wait* is how long after a packet as quick as the quickest would have come it is needed for a pull; a packet
that is later than that is late. The wait grows when the speaker is given sound and ``due`` stands still, and
shrinks when ``due`` goes on and the speaker is given less. It is measured by the earliest of the speaker's last
pulls: its unevenness counts like the network's. What was decoded and is not given yet (the *rest*, less than a
pull) is delay as well. Pulls and packets come 20 ms apart, so the wait changes in steps of 20 ms, and the rest is
what is between.

Rule 1. What is due is decoded, each packet at most once, in the order of its time stamps.

Rule 2. *A hole*: what is due is missing and later sound is here. The later packet's own copy of what is missing
(in-band FEC) mends it; else it is concealed. ``due`` goes on, and what comes for the hole now is late.

Rule 3. *Nothing here*: it is concealed while ``due`` stands still, for the packet may only be late, and then
nothing of it is lost. The concealed time is credited to the hole when a later packet shows that there is one, so
that a loss adds no delay. After ``CONCEAL_S`` concealment is noise: silence. After ``STALL_S`` playout begins anew.

Rule 4. The rest, and whole steps of wait above the target, are taken back by playing faster, much faster when
there is much of it (the shell does so where it is hardly heard and tells how much it was). What cannot be taken
back within ``PATIENCE_S``, or is more than ``HARD_LIMIT_S``, is skipped. A wait below the target is lengthened by
playing slower.

Rule 5. A hole in the time stamps without one in the sequence is the sender's own silence (DTX, a muted track):
comfort noise or silence, and where there is delay to take back it is shortened.

Rule 6. Another SSRC, or a new packet more than ``JUMP_S`` off its time, begins a new stream.

Rule 7. At most ``MAX_WAITING`` packets wait; of more, the oldest are skipped.

=========  ===================  =================================  ============================
state      due packet is here   only later ones are here           nothing is here
=========  ===================  =================================  ============================
waiting    ``Silence`` until the first packet has waited ``START_S``, then playing
playing    ``Decode``           ``Mend`` or ``Conceal``,           ``Conceal``, then ``Silence``,
                                ``Comfort`` or ``Silence`` (DTX)   ``Comfort`` (DTX); ``STALL_S``:
                                                                   waiting
=========  ===================  =================================  ============================

The shell: at each pull :meth:`Playout.pull`, then :meth:`Playout.next` until it has enough, then
:meth:`Playout.stretched` if it changed the pace. :meth:`Playout.receive` at each packet. One thread at a time.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from kiosk.media.jitter import Jitter
from kiosk.media.opus_packet import RTP_CLOCK, OpusPacket, inspect
from kiosk.media.playout_counts import Counts
from kiosk.media.playout_words import (
    STEADY,
    Arrived,
    Comfort,
    Conceal,
    Decode,
    Mend,
    Pace,
    Report,
    Silence,
    Step,
    Tempo,
)

STEP = RTP_CLOCK // 50
"""Samples in one concealment: 20 ms."""
START_S = 0.04
"""The first packet's wait, before anything is known of the network."""
MIN_TARGET_S = 0.01
"""Threads are late by a few milliseconds now and then."""
MAX_TARGET_S = 0.09
"""With a pull's length of rest within the budget of 120 ms at 5 % loss (design §6)."""
LOSSY, CLEAN = 0.02, 0.01
"""From the one part of packets lost on, and until the other, it is worth a packet's length to wait for the copies
that mend."""
LOSS_OF = 250
"""Packets that the loss is reckoned from: 5 s."""
FASTER_ABOVE_S = 0.0025
"""The least that a stretch can take out."""
FASTEST_ABOVE_S = 0.04
SLOWER_BELOW_S = 0.005
"""The target moves a little all the time."""
OVER_S = 0.045
PATIENCE_S = 1.2
"""With so much over the target for so long, sound is skipped: back under the bound within 2 s of any burst."""
HARD_LIMIT_S = 0.5
CONCEAL_S = 0.12
"""Concealment fades: longer than this, nothing can be guessed."""
STALL_S = 1.0
JUMP_S = 2.0
MAX_WAITING = 64
"""Packets; 1.28 s of the usual 20 ms."""
PULSE_OF = 25
"""Pulls among which the earliest tells the speaker's pace: 0.5 s."""
PAUSE_S = 0.1
"""A speaker that did not pull for so long has lost its place: its pace is learnt anew."""


@dataclass(frozen=True)
class _Waiting:
    sequence: int
    at: float
    payload: bytes
    opus: OpusPacket


class Playout:
    """The playout of one received track; see above."""

    def __init__(self) -> None:
        self._ssrc: int | None = None
        self._given = 0
        self._pulse: deque[float] = deque(maxlen=PULSE_OF)
        self._pulled_at: float | None = None
        self._counts = Counts()
        self._begin_stream()

    def _begin_stream(self) -> None:
        self._jitter = Jitter()
        self._waiting: dict[int, _Waiting] = {}
        self._known: deque[int] = deque(maxlen=LOSS_OF)
        self._newest_sequence: int | None = None
        self._newest_position = 0
        self._playing = False
        self._start_at: float | None = None
        self._due: int | None = None
        self._held = self._concealed_in_row = 0
        self._spare_s = 0.0
        self._over_since: float | None = None
        self._skipped = False
        self._fresh = True
        self._last: _Waiting | None = None
        self._mends_seen = self._is_lossy = False

    # -- packets in

    def receive(self, packet: Arrived) -> None:
        """Take *packet*, in whatever order they come."""
        opus = inspect(packet.payload)
        self._counts.received += 1
        if opus is None:
            self._counts.unusable += 1
            return
        if packet.ssrc != self._ssrc:
            self._restart(packet.ssrc)
        sequence = _unwrap(packet.sequence, self._newest_sequence, 16)
        position = _unwrap(packet.timestamp, self._newest_position if self._jitter else None, 32)
        transit = packet.at - position / RTP_CLOCK
        is_newer = self._newest_sequence is None or sequence > self._newest_sequence
        if self._jitter and abs(self._jitter.lateness_s(transit)) > JUMP_S:
            if not is_newer:
                self._counts.late += 1
                return
            self._restart(packet.ssrc)
        if sequence in self._known or position in self._waiting:
            self._counts.doubled += 1
            return
        self._known.append(sequence)
        if self._newest_sequence is None:
            self._counts.expected += 1
        elif is_newer:
            self._counts.expected += sequence - self._newest_sequence
        if self._newest_sequence is None or is_newer:
            self._newest_sequence, self._newest_position = sequence, position
        self._counts.unique += 1
        self._jitter.arrived(at=packet.at, transit_s=transit)
        self._mends_seen = self._mends_seen or opus.mends
        self._is_lossy = self._loss > (CLEAN if self._is_lossy else LOSSY)
        if self._due is not None and position < self._due:
            self._counts.late += 1
            return
        self._waiting[position] = _Waiting(sequence, packet.at, packet.payload, opus)
        if self._start_at is None:
            self._start_at = packet.at + START_S
        if len(self._waiting) > MAX_WAITING:
            self._skip_to(sorted(self._waiting)[1])

    def _restart(self, ssrc: int) -> None:
        self._counts.restarts += self._ssrc is not None
        self._ssrc = ssrc
        self._begin_stream()

    # -- sound out

    def pull(self, *, at: float, samples: int, rest: int) -> Tempo:
        """The speaker takes *samples* now; *rest* of those decoded before are left. How should it be played?"""
        if self._pulled_at is not None and at - self._pulled_at > PAUSE_S:
            self._pulse.clear()
        self._pulled_at = at
        self._pulse.append(at - self._given / RTP_CLOCK)
        self._given += samples
        if not self._playing:
            self._try_to_start(at)
            return STEADY
        if self._held >= STALL_S * RTP_CLOCK and not self._waiting:
            self._playing, self._start_at, self._held = False, None, 0
            return STEADY
        if not self._waiting or rest >= samples:
            return STEADY
        self._settle()
        self._spare_s = self._wait_s(samples, rest) - self._target_s
        grain_s = samples / RTP_CLOCK
        excess_s = rest / RTP_CLOCK + math.floor(self._spare_s / grain_s) * grain_s
        if self._has_patience(at, excess_s):
            return _tempo(self._spare_s, excess_s)
        self._take_back(excess_s)
        return STEADY

    @property
    def ready(self) -> bool:
        """Whether :meth:`next` would decode."""
        return self._playing and self._due in self._waiting

    def next(self) -> Step:
        """What to append to the sound that is given to the speaker."""
        if not self._playing or self._due is None:
            return Silence(STEP)
        self._settle()
        packet = self._waiting.pop(self._due, None)
        if packet is not None:
            return self._decode(packet, self._due)
        if not self._waiting:
            return self._hold()
        position = min(self._waiting)
        return self._fill(self._waiting[position], position - self._due)

    def heard(self, step: Decode, *, at: float) -> None:
        """*step* will be heard at *at*, for the report."""
        self._counts.delay_s = at - step.arrived_at

    def stretched(self, samples: int) -> None:
        """The shell took out *samples*, or put in, when negative."""
        if samples > 0:
            self._counts.accelerated += samples
        else:
            self._counts.slowed -= samples

    @property
    def report(self) -> Report:
        """The figures so far."""
        depth = sum(packet.opus.samples for packet in self._waiting.values())
        return self._counts.report(depth_s=depth / RTP_CLOCK, target_s=self._target_s)

    # -- how a step is chosen

    def _decode(self, packet: _Waiting, due: int) -> Decode:
        step = Decode(packet.payload, packet.opus.samples, packet.at, fresh=self._fresh, skipped=self._skipped)
        self._last = packet
        self._due = due + packet.opus.samples
        self._drop_overlapped()
        self._fresh = self._skipped = False
        self._concealed_in_row = 0
        self._counts.decoded += packet.opus.samples
        return step

    def _drop_overlapped(self) -> None:
        """A sender that begins a packet within another's sound is wrong; the later one loses."""
        assert self._due is not None
        for position in [position for position in self._waiting if position < self._due]:
            del self._waiting[position]
            self._counts.unusable += 1

    def _hold(self) -> Step:
        """Nothing is here: fill, and let what is due wait."""
        self._held += STEP
        return Comfort(STEP) if self._is_quiet else self._conceal(STEP)

    def _fill(self, later: _Waiting, hole: int) -> Step:
        """Something later is here, *hole* samples after what is due."""
        samples = min(hole, STEP)
        if self._last is not None and later.sequence == self._last.sequence + 1:
            self._shorten(hole - samples)
            self._go_on(samples)
            return Comfort(samples) if self._is_quiet else Silence(samples)
        if later.opus.mends and hole == later.opus.samples:
            self._go_on(hole)
            self._concealed_in_row = 0
            self._counts.mended += hole
            return Mend(later.payload, hole)
        if later.opus.mends and hole > later.opus.samples:
            samples = min(samples, hole - later.opus.samples)
        self._go_on(samples)
        return self._conceal(samples)

    def _conceal(self, samples: int) -> Step:
        before = self._concealed_in_row
        if before >= CONCEAL_S * RTP_CLOCK:
            self._counts.silent += samples
            return Silence(samples)
        self._concealed_in_row += samples
        self._counts.concealed += samples
        return Conceal(samples, after=before)

    @property
    def _is_quiet(self) -> bool:
        return self._last is not None and self._last.opus.quiet

    # -- where it stands

    def _try_to_start(self, at: float) -> None:
        if self._start_at is not None and at >= self._start_at:
            self._playing = True
            self._due = min(self._waiting)

    def _settle(self) -> None:
        """Credit what was filled while nothing was here to the hole that has shown itself."""
        if self._held and self._waiting:
            assert self._due is not None
            hole = min(self._waiting) - self._due
            if self._held > hole:
                self._over_since = None  # the delay has just grown by a burst; it is given its time
            self._go_on(min(self._held, hole))
            self._held = 0

    def _shorten(self, most: int) -> None:
        """Take delay back from the sender's own silence."""
        samples = min(most, round(max(0.0, self._spare_s) * RTP_CLOCK))
        self._spare_s -= samples / RTP_CLOCK
        self._counts.accelerated += samples
        self._go_on(samples)

    def _go_on(self, samples: int) -> None:
        assert self._due is not None
        self._due += samples

    def _wait_s(self, samples: int, rest: int) -> float:
        """Of the last packet that the pull, which takes *samples*, needs beyond *rest*."""
        assert self._due is not None
        length = self._last.opus.samples if self._last is not None else STEP
        needed = self._due + (samples - rest - 1) // length * length
        given_s = (self._given - samples) / RTP_CLOCK
        return min(self._pulse) + given_s - needed / RTP_CLOCK - self._jitter.least_transit_s

    @property
    def _target_s(self) -> float:
        if not self._jitter:
            return START_S
        wait = self._jitter.wait_s
        if self._mends_seen and self._is_lossy:
            wait += STEP / RTP_CLOCK
        return min(MAX_TARGET_S, max(MIN_TARGET_S, wait))

    @property
    def _loss(self) -> float:
        """The part of the newest packets that did not come, or not yet."""
        assert self._newest_sequence is not None
        span = self._newest_sequence - min(self._known) + 1
        return 1 - len(self._known) / span

    def _has_patience(self, at: float, excess_s: float) -> bool:
        if excess_s <= OVER_S:
            self._over_since = None
            return True
        if self._over_since is None:
            self._over_since = at
        return at - self._over_since < PATIENCE_S and excess_s < HARD_LIMIT_S

    def _take_back(self, excess_s: float) -> None:
        """Skip whole packets, at most *excess_s* of them."""
        assert self._due is not None
        self._over_since = None
        reach = self._due + excess_s * RTP_CLOCK
        within = [position for position in self._waiting if self._due < position <= reach]
        self._skip_to(max(within, default=self._due))

    def _skip_to(self, position: int) -> None:
        passed = [waiting for waiting in self._waiting if waiting < position]
        for waiting in passed:
            del self._waiting[waiting]
        self._counts.skipped += len(passed)
        self._due, self._held, self._skipped = position, 0, True


def _tempo(spare_s: float, excess_s: float) -> Tempo:
    if excess_s >= FASTER_ABOVE_S:
        pace = Pace.FASTEST if excess_s > FASTEST_ABOVE_S else Pace.FASTER
        return Tempo(pace, most=int(excess_s * RTP_CLOCK))
    return Tempo(Pace.SLOWER) if spare_s < -SLOWER_BELOW_S else STEADY


def _unwrap(value: int, near: int | None, bits: int) -> int:
    """The number that is *value* in its last *bits* and nearest to *near*."""
    if near is None:
        return value
    half = 1 << (bits - 1)
    return near + ((value - near + half) & ((1 << bits) - 1)) - half
