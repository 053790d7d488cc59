"""The books of ``kiosk bench faults``: presses as they are on the beds' disks, requests as a seat sees them. Pure.

Every request that a press opened must come to the desk once, with its id, and with as many presses as were made
for it; nothing else may come. A request that was closed at its bed and has gone from the board must stay away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kiosk.signaling.messages import RequestView


@dataclass
class Asked:
    """A request as its bed opened it. Times are monotonic seconds."""

    bed: str
    pressed_at: float
    presses: int = 1
    seen_at: float | None = None
    presses_seen: int = 0
    closed: bool = False
    gone: bool = False


@dataclass
class Tally:
    """Told of presses and boards; :attr:`wrong` says what does not add up."""

    asked: dict[str, Asked] = field(default_factory=dict)
    board: frozenset[str] = frozenset()
    """The requests on the newest board."""
    given_up: set[str] = field(default_factory=set)
    """Requests that were not at the desk in time, whatever came of them later."""
    _closing: set[str] = field(default_factory=set)
    _second: set[str] = field(default_factory=set)
    _strangers: set[str] = field(default_factory=set)
    """On a board before they were on a disk: a bed whose disk hangs sends from memory, and keeps it later."""

    def press(self, bed: str, request_id: str, presses: int, *, at: float) -> None:
        """A press at *at* is on the disk of *bed*: so many *presses* now, for *request_id*."""
        known = self.asked.get(request_id)
        if known is None:
            self.asked[request_id] = Asked(bed, at, presses)
        else:
            known.presses = presses

    def close(self, request_id: str) -> None:
        """It is closed at its bed, on the disk."""
        self.asked[request_id].closed = True
        self._closing.add(request_id)

    def give_up(self, request_id: str) -> None:
        """It was waited for at the desk long enough."""
        self.given_up.add(request_id)

    def see(self, requests: Sequence[RequestView], *, at: float) -> None:
        """A whole board came at *at*."""
        beds: dict[str, str] = {}
        for view in requests:
            asked = self.asked.get(view.request_id)
            if beds.setdefault(view.bed_user, view.request_id) != view.request_id:
                self._second.add(view.request_id)
            if asked is None:
                self._strangers.add(view.request_id)
                continue
            if asked.gone:
                self._second.add(view.request_id)
            asked.seen_at = at if asked.seen_at is None else asked.seen_at
            asked.presses_seen = max(asked.presses_seen, view.presses)
        self.board = frozenset(view.request_id for view in requests)
        for request_id in self._closing - self.board:
            self.asked[request_id].gone = True
        self._closing &= self.board

    def is_there(self, request_id: str) -> bool:
        """The newest board has it, with all its presses."""
        if request_id not in self.board or request_id not in self.asked:
            return False
        return self.asked[request_id].presses_seen == self.asked[request_id].presses

    @property
    def doubles(self) -> set[str]:
        """Requests nobody asked for, second ones of a bed, and closed ones that came back."""
        return self._second | (self._strangers - self.asked.keys())

    @property
    def presses(self) -> int:
        """All that the desk has seen, of all requests."""
        return sum(asked.presses_seen for asked in self.asked.values())

    @property
    def seen(self) -> int:
        """Requests that came to the desk."""
        return sum(asked.seen_at is not None for asked in self.asked.values())

    @property
    def lost(self) -> list[str]:
        """Requests that never came to the desk, or did not stay there, in time."""
        return [
            request_id
            for request_id, asked in self.asked.items()
            if asked.seen_at is None or request_id in self.given_up
        ]

    @property
    def miscounted(self) -> list[str]:
        """Requests at the desk with fewer or more presses than were made."""
        return [
            request_id
            for request_id, asked in self.asked.items()
            if asked.seen_at is not None and asked.presses_seen != asked.presses
        ]

    @property
    def left_over(self) -> list[str]:
        """Requests that were closed at their bed and are still on the newest board."""
        return [request_id for request_id in sorted(self.board) if self._closed(request_id)]

    def _closed(self, request_id: str) -> bool:
        return request_id in self.asked and self.asked[request_id].closed

    @property
    def delays_ms(self) -> list[float]:
        """From the press to the first board that has it, milliseconds."""
        return [
            (asked.seen_at - asked.pressed_at) * 1000 for asked in self.asked.values() if asked.seen_at is not None
        ]

    @property
    def wrong(self) -> str:
        """What does not add up, in words; empty when nothing was lost, doubled or miscounted."""
        found = {
            "lost": self.lost,
            "double": sorted(self.doubles),
            "with a wrong number of presses": self.miscounted,
            "left open at the desk": self.left_over,
        }
        return "; ".join(
            f"{len(ids)} {what} ({', '.join(request_id[:8] for request_id in ids[:5])})"
            for what, ids in found.items()
            if ids
        )
