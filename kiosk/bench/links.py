"""The paths between a bed and a seat that media are measured over. Pure."""

from __future__ import annotations

from dataclasses import dataclass

DELAY_S = 0.025
OUTAGE_S = 0.3
BACK_S = 2.0
"""So long after an outage the delay must be what it was (design §6)."""


@dataclass(frozen=True)
class Link:
    """Loses *share* (0 to 1) of what goes either way and is *delay_s* long each way.

    *outage*: as soon as it is measured, nothing at all passes for ``OUTAGE_S``; delays count ``BACK_S`` after it.
    """

    name: str
    share: float = 0.0
    delay_s: float = DELAY_S
    outage: bool = False

    @property
    def delays_from_s(self) -> float:
        """How long after the beginning of the measurement delays count."""
        return OUTAGE_S + BACK_S if self.outage else 0.0


def lossy(per_cent: int) -> Link:
    """A link that loses so much."""
    return Link(f"{per_cent} % lost, 25 ms", share=per_cent / 100)


CLEAN = Link("clean", delay_s=0.0)
OUTAGE = Link("300 ms outage (delays: 2 s after)", outage=True)
FIVE = lossy(5)
