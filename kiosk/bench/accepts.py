"""From the accept to picture and sound: pre-connected, not pre-connected, and plain aiortc's. Near, and 25 ms away.

Pre-connected, the handshake is over when the person accepts. Else it begins with the accept, in our bed and seat
(*not pre-connected*) or as everybody writes it first (:mod:`kiosk.bench.plain_call`). On loopback a handshake's
round trips cost nothing; over a link that is long they are most of it, and there the gain has a budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from playwright.async_api import Browser, Page

from kiosk.bench.figures import Budget, Figure
from kiosk.bench.links import DELAY_S
from kiosk.bench.plain_call import PlainCall, plain_calls
from kiosk.bench.traced_calls import ACCEPT, TALK_S, Moments, one_call, spans
from kiosk.demo.ward import BedProcess
from kiosk.media.simulated_loss import SimulatedLoss
from kiosk.settings import Video

FIRST_PICTURE = Budget(200, 50)
FIRST_SOUND = Budget(250, 100)
GAIN = 3.0
"""So much quicker the first picture must be over a long link, as the connection is made while the seat rings."""
PICTURE = "first picture at the seat"
ENDS = {
    PICTURE: ("seat first_video_frame", FIRST_PICTURE),
    "first sound at the seat": ("seat first_audio", FIRST_SOUND),
    "first sound at the bed": ("first_audio", FIRST_SOUND),
}


@dataclass(frozen=True)
class Accepts:
    """Calls over one link: pre-connected, not (*late*), and the baseline's. *delay_s*: each way."""

    delay_s: float
    calls: Sequence[Moments]
    late: Sequence[Moments]
    plain: Sequence[PlainCall]

    @property
    def where(self) -> str:
        """The link, in words."""
        return f"{self.delay_s * 1000:.0f} ms away: " if self.delay_s else ""

    def figures(self) -> list[Figure]:
        """Pre-connected, beside the baseline, and then not pre-connected. The budgets are those of a clean link."""
        baselines: dict[str, Sequence[float]] = {
            PICTURE: [call.picture for call in self.plain],
            "first sound at the seat": [call.sound_at_the_seat for call in self.plain],
            "first sound at the bed": [call.sound_at_the_bed for call in self.plain],
        }
        connected = [
            Figure(
                f"{self.where}accept → {what}",
                spans(self.calls, ACCEPT, end),
                None if self.delay_s else budget,
                baselines[what],
            )
            for what, (end, budget) in ENDS.items()
        ]
        return connected + [
            Figure(f"{self.where}… not pre-connected: {what}", spans(self.late, ACCEPT, end))
            for what, (end, _) in ENDS.items()
        ]

    def gains(self) -> dict[str, float]:
        """How many times quicker, by the median, than in the calls whose connection began with the accept."""
        return {
            what: median(spans(self.late, ACCEPT, end)) / median(spans(self.calls, ACCEPT, end))
            for what, (end, _) in ENDS.items()
        }

    def rows(self) -> list[str]:
        """How much quicker, in words."""
        must = f" (must: {GAIN:g})" if self.delay_s else ""
        return [
            f"{self.where}accept → {what}: {gain:.1f} times quicker than not pre-connected"
            f"{must if what == PICTURE else ''}"
            for what, gain in self.gains().items()
        ]

    def too_little_gained(self) -> list[str]:
        """The budget of the gain, if it is missed, in words."""
        gain = self.gains()[PICTURE]
        if not self.delay_s or gain >= GAIN:
            return []
        return [f"{self.where}first picture {gain:.1f} times quicker than not pre-connected (must: {GAIN:g})"]


@dataclass(frozen=True)
class Scene:
    """Where such calls are made: a bed and a seat's page; for the baseline, whose bed is in this process, any page.

    *loss* stands between this process and its sockets.
    """

    bed: BedProcess
    page: Page
    browser: Browser
    any_page: str
    video: Video
    loss: SimulatedLoss

    async def near(self, calls: int) -> Accepts:
        """*calls* of each kind over loopback as it is."""
        return await self._accepts(0.0, calls)

    async def far(self, calls: int) -> Accepts:
        """*calls* of each kind over a link that is 25 ms long each way."""
        self.bed.hand(f"media lose 0 {DELAY_S}")
        self.loss.be_bad(share=0.0, delay_s=DELAY_S)
        try:
            return await self._accepts(DELAY_S, calls)
        finally:
            self.loss.let_pass()
            self.bed.hand("media pass")

    async def _accepts(self, delay_s: float, calls: int) -> Accepts:
        connected = [await one_call(self.bed, self.page) for _ in range(calls)]
        late = [await one_call(self.bed, self.page, late=True) for _ in range(calls)]
        plain = await plain_calls(self.browser, self.any_page, calls=calls, talk_s=TALK_S, video=self.video)
        return Accepts(delay_s, connected, late, plain)
