"""What a playout counts, and the report made of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.media.playout_words import Report


@dataclass
class Counts:
    """The figures of a :class:`~kiosk.media.playout.Playout` so far, which it counts up itself."""

    received: int = 0
    unique: int = 0
    expected: int = 0
    late: int = 0
    doubled: int = 0
    unusable: int = 0
    skipped: int = 0
    restarts: int = 0
    decoded: int = 0
    mended: int = 0
    concealed: int = 0
    silent: int = 0
    accelerated: int = 0
    slowed: int = 0
    delay_s: float = 0.0

    def report(self, *, depth_s: float, target_s: float) -> Report:
        """The figures, and where the playout stands: the sound that waits, and the wait that it aims at."""
        return Report(
            depth_s=depth_s,
            target_s=target_s,
            delay_s=self.delay_s,
            received=self.received,
            lost=max(0, self.expected - self.unique),
            late=self.late,
            doubled=self.doubled,
            unusable=self.unusable,
            skipped=self.skipped,
            restarts=self.restarts,
            decoded=self.decoded,
            mended=self.mended,
            concealed=self.concealed,
            silent=self.silent,
            accelerated=self.accelerated,
            slowed=self.slowed,
        )
