"""How strongly the voice that is sent is protected against loss, and at what bit rate. Pure.

Theory of operation
===================

In-band FEC puts a coarse copy of each 20 ms into the next packet, at the cost of bits. libopus decides how many by
the *expected loss* it is told.

Rule 1. Some protection is there from the start: on a ward's Wi-Fi the first loss comes before the first report of
one, and a browser's reports are seconds apart.

Rule 2. A report of more loss counts at once, as speech is being lost now. Less loss counts slowly
(``RELEASE`` of the way for each report), as losses come in bursts.

Rule 3. More loss gets more bits, so that the copy does not take the voice's own; never above ``MOST_BIT_RATE``:
more would fill a narrow link, and lose more.

Rule 4. Several seats hear one encoding: the path that loses most decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LEAST_EXPECTED = 6.0
"""Per cent. Told 5 or less, libopus 1.3.1 writes no copy at all at these bit rates: it narrows the voice's
bandwidth in favour of the copy only above 5 (measured, and its source: ``decide_fec``)."""
MOST_EXPECTED = 30.0
"""Per cent. Above it the copy costs more clearness than it saves."""
RELEASE = 0.2
LEAST_BIT_RATE, MOST_BIT_RATE = 28_000, 32_000
"""Bits a second: the least at which libopus keeps the voice superwideband beside its copy, and a fuller copy."""
MOST_BITS_AT = 15.0
"""Per cent of expected loss at which the most bits are spent."""


@dataclass(frozen=True)
class Protection:
    """``loss``: smoothed, in per cent of the packets."""

    loss: float = LEAST_EXPECTED

    @property
    def expected(self) -> int:
        """What the encoder is told to expect, per cent."""
        return round(min(MOST_EXPECTED, max(LEAST_EXPECTED, self.loss)))

    @property
    def bit_rate(self) -> int:
        """Bits a second."""
        part = (self.expected - LEAST_EXPECTED) / (MOST_BITS_AT - LEAST_EXPECTED)
        return round(LEAST_BIT_RATE + min(1.0, part) * (MOST_BIT_RATE - LEAST_BIT_RATE))


def reported(before: Protection, *, fraction_lost: int) -> Protection:
    """After a receiver's report; *fraction_lost* as in RTCP (RFC 3550 §6.4.1): 256ths of the packets, 0 to 255."""
    loss = 100 * fraction_lost / 256
    if loss >= before.loss:
        return Protection(loss)
    return Protection(before.loss + RELEASE * (loss - before.loss))


def strongest(protections: Iterable[Protection]) -> Protection:
    """What serves all of *protections*; the usual one when there are none."""
    return max(protections, key=lambda one: one.loss, default=Protection())
