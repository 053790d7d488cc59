"""Presses counted at the pin of a bed's call button, tap by tap, beside those its bed has seen. Pure.

Told of each raw edge, of each press the bed has seen, and of what is on its disk, for one *life*: from a bed's
start to its end or its kill -9. All times are monotonic seconds of one machine.

Theory of operation
===================

Rule 1. What counts at the pin is a *contact*: it begins with a making edge and lasts until the button has been
broken for the bounce time. One tap is one contact, with its chatter. Only when the machine stretched the tap, so
that by the time stamps of its own edges the button was broken for the bounce time in its middle, is it more than
one.

Rule 2. Each contact is exactly one press, and each press belongs to the contact in whose time it was made (or, when
the bed has looked at the level just before, to the next one).

Rule 3. In a life that was not killed, presses at the pin, presses seen and presses on the disk are equal.

Rule 4. kill -9 may take the tap under way with it, for some milliseconds from its edge until the journal's fsync: a
press counts as made when the journal has it. While the bed lives, the bed says so (right after the fsync, as
``request_on_disk`` of its trace); for a dead one the journal is read, before it starts again. A press that was said
to be on the disk must be there. All earlier taps have been settled: nobody taps again before.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Contact:
    """The button made, with its bounce; ``ended`` is None while it is."""

    tap: int
    began: float
    ended: float | None = None


@dataclass
class Life:
    """One life of a bed; *bounce_s* is its button's."""

    bounce_s: float
    contacts: list[Contact] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    """When the presses were made that the bed has seen."""
    said: int = 0
    """Presses the bed said to be on the disk."""
    on_disk: int = 0
    """Presses that are on the disk in the end."""
    killed: bool = False

    def finger(self, tap: int, *, at: float) -> None:
        """A finger comes down for *tap*; taps have rising numbers. The contact makes before its edge is told."""
        self.contacts.append(Contact(tap, at))

    def edge(self, tap: int, made: bool, *, at: float) -> None:
        """The contact made or broke, in the course of *tap*."""
        last = self.contacts[-1] if self.contacts else None
        if not made:
            if last is not None:
                last.ended = at
        elif last is None or (last.ended is not None and at - last.ended >= self.bounce_s):
            self.contacts.append(Contact(tap, at))
        else:
            last.ended = None

    def saw(self, at: float) -> None:
        """The bed has seen a press made at *at*."""
        self.seen.append(at)

    def came_on_disk(self, presses: int) -> None:
        """The living bed says that so many more are on the disk."""
        self.said += presses
        self.on_disk += presses

    def ends(self, *, killed: bool, found: int = 0) -> None:
        """It is over; *found*: presses on the disk that the bed did not come to say, negative for missing ones."""
        self.killed = killed
        self.on_disk += found

    @property
    def at_the_pin(self) -> int:
        """Presses made, by rules 1, 2 and 4."""
        if not self.killed:
            return len(self.contacts)
        under_way = len(self.contacts) - len(self._settled)
        return len(self._settled) + min(max(0, self.on_disk - len(self._settled)), under_way)

    @property
    def wrong(self) -> list[str]:
        """What does not add up, in words."""
        must = self._settled if self.killed else self.contacts
        found = [
            f"tap {contact.tap}: one contact was seen as {len(self._presses(contact))} presses"
            for contact in self.contacts
            if len(self._presses(contact)) > 1
        ]
        found += [f"tap {contact.tap}: not seen" for contact in must if not self._presses(contact)]
        found += [f"a press at {at:.3f} s without a tap" for at in self.seen if self._contact_of(at) is None]
        if self.on_disk < self.said:
            found.append(f"{self.said - self.on_disk} presses were on the disk and are not")
        if self.on_disk != self.at_the_pin:
            found.append(f"{self.at_the_pin} presses at the pin, {self.on_disk} on the disk")
        return found

    @property
    def _settled(self) -> list[Contact]:
        """All but those of the last tap."""
        return [contact for contact in self.contacts if contact.tap != self.contacts[-1].tap]

    def _presses(self, contact: Contact) -> list[float]:
        return [at for at in self.seen if self._contact_of(at) is contact]

    def _contact_of(self, at: float) -> Contact | None:
        """A press seen by its edge has that edge's time; one seen by the level may have one just before the
        finger."""
        return next((contact for contact in self.contacts if contact.ended is None or at <= contact.ended), None)
