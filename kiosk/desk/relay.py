"""The shell around :class:`~kiosk.desk.allocation.Allocation`: connections, timers and boards.

Everything runs on the event loop's thread. What a connection is to send waits in a bounded queue; a peer too
slow to empty it is disconnected, which is better than a board that is minutes old.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from kiosk.desk.allocation import Allocation
from kiosk.desk.allocation_events import (
    BoardChanged,
    Effect,
    Event,
    Left,
    Noted,
    Said,
    SeatArrived,
    StartTimer,
    StopTimer,
    Tell,
    TimedOut,
    Timer,
)
from kiosk.desk.ledger import Rules
from kiosk.desk.timeline import Entry
from kiosk.settings import Seat
from kiosk.signaling import codec
from kiosk.signaling import messages as wire

log = logging.getLogger(__name__)

MAX_FAULT = 200
"""Characters of a fault's words on the board (the wire's ``Words``)."""
OUTBOX_LIMIT = 512
"""Messages a connection may be behind before it is closed."""
BOARD_INTERVAL_S = 0.1
"""Boards of a group are sent at once, then at most this often."""


class Connection:
    """One logged-in user's way out; the server's writer task empties ``outbox``."""

    def __init__(self, user_id: str, close: Callable[[str], None]) -> None:
        self.user_id = user_id
        self.outbox: asyncio.Queue[wire.Message] = asyncio.Queue(OUTBOX_LIMIT)
        self.close = close

    def send(self, message: wire.Message) -> None:
        """Queue *message*; a peer that is too far behind is closed."""
        try:
            self.outbox.put_nowait(message)
        except asyncio.QueueFull:
            log.warning("x %s is too slow, closing", self.user_id)
            self.close("too slow")

    def dismiss(self, last: wire.Message, reason: str) -> None:
        """Close with *last* as the last word, also when the peer is behind: the rest concerns it no more."""
        while not self.outbox.empty():
            self.outbox.get_nowait()
        self.outbox.put_nowait(last)
        self.close(reason)


class Relay:
    """Feeds events to the machine and performs its effects.

    *keep* is given each timeline's entries as they are made, with the wall clock in Unix seconds; it must not wait.
    """

    def __init__(self, rules: Rules, *, keep: Callable[[Entry, float], None] = lambda entry, at: None) -> None:
        self._keep = keep
        self.allocation = Allocation(rules=rules, first_fence=time.time_ns() // 1_000_000)
        self._connections: dict[str, Connection] = {}
        self._timers: dict[Timer, asyncio.TimerHandle] = {}
        self._dirty: set[str] = set()
        self._boards_due: asyncio.TimerHandle | None = None
        self._boards_sent_at = 0.0
        self._history_fault = ""

    @property
    def connected(self) -> int:
        """How many users are connected."""
        return len(self._connections)

    def arrive(self, connection: Connection, *, seat: Seat | None, call_id: str | None) -> None:
        """A login was accepted. An older connection of the same user is told and closed."""
        older = self._connections.get(connection.user_id)
        self._connections[connection.user_id] = connection
        if older is not None:
            older.dismiss(wire.KickedOut(), "kicked out")
        log.info("- %s connected as %s", connection.user_id, "seat" if seat else "kiosk")
        if seat is not None:
            groups = frozenset(seat.groups)
            self.handle(SeatArrived(seat.user_id, seat.name or seat.user_id, groups, call_id))

    def is_connected(self, user_id: str) -> bool:
        """Whether *user_id* has a connection."""
        return user_id in self._connections

    def needs(self, user_id: str) -> bool:
        """Whether *user_id* is in a call, or has asked for one."""
        return self.allocation.ledger.is_needed(user_id)

    def leave(self, connection: Connection) -> None:
        """The connection is gone; nothing happens if a newer one has taken over."""
        if self._connections.get(connection.user_id) is connection:
            del self._connections[connection.user_id]
            log.info("- %s disconnected", connection.user_id)
            self.handle(Left(connection.user_id))

    def said(self, connection: Connection, message: wire.Message) -> bool:
        """A decoded message of a logged-in user; answered by ``ack`` or ``fault`` when it carries an id.

        Returns whether it was not refused.
        """
        effects: list[Effect] = []
        if not isinstance(message, wire.Pong):
            effects = self.handle(Said(connection.user_id, message), answer_to=message)
        refused = any(_is_fault(effect, connection.user_id) for effect in effects)
        if isinstance(message.id, str) and not refused:
            connection.send(wire.Ack(id=message.id))
        return not refused

    def handle(self, event: Event, *, answer_to: wire.Message | None = None) -> list[Effect]:
        """Apply *event* and perform what follows."""
        effects = self.allocation.handle(event, now=time.monotonic())
        for effect in effects:
            self._perform(effect, answer_to)
        return effects

    def history_is(self, fault: str) -> None:
        """Tell all seats that the desk's record cannot be kept, and why, or (empty) that it can again."""
        self._history_fault = fault[:MAX_FAULT]
        self._dirty |= {group for seat in self.allocation.ledger.seats.values() for group in seat.groups}
        self._schedule_boards()

    def stop(self) -> None:
        """Stop every timer."""
        for handle in self._timers.values():
            handle.cancel()
        self._timers.clear()
        if self._boards_due is not None:
            self._boards_due.cancel()

    def _perform(self, effect: Effect, answer_to: wire.Message | None) -> None:
        if isinstance(effect, Tell):
            connection = self._connections.get(effect.user_id)
            if connection is not None:
                connection.send(codec.answering(effect.message, answer_to))
        elif isinstance(effect, StartTimer):
            self._stop_timer(effect.timer)
            loop = asyncio.get_running_loop()
            self._timers[effect.timer] = loop.call_later(effect.seconds, self._timed_out, effect.timer)
        elif isinstance(effect, StopTimer):
            self._stop_timer(effect.timer)
        elif isinstance(effect, Noted):
            self._keep(effect.entry, time.time())
        elif isinstance(effect, BoardChanged):
            self._dirty |= effect.groups
            self._schedule_boards()

    def _timed_out(self, timer: Timer) -> None:
        del self._timers[timer]
        self.handle(TimedOut(timer))

    def _stop_timer(self, timer: Timer) -> None:
        handle = self._timers.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def _schedule_boards(self) -> None:
        if self._boards_due is None:
            wait = max(0.0, self._boards_sent_at + BOARD_INTERVAL_S - time.monotonic())
            self._boards_due = asyncio.get_running_loop().call_later(wait, self._send_boards)

    def _send_boards(self) -> None:
        self._boards_due = None
        self._boards_sent_at = time.monotonic()
        dirty, self._dirty = self._dirty, set()
        ledger = self.allocation.ledger
        for seat in ledger.seats.values():
            connection = self._connections.get(seat.user_id)
            if connection is not None and seat.groups & dirty:
                board = ledger.board(seat, now=self._boards_sent_at, rules=self.allocation.rules)
                connection.send(msgspec.structs.replace(board, history_fault=self._history_fault))


def _is_fault(effect: Effect, user_id: str) -> bool:
    return isinstance(effect, Tell) and effect.user_id == user_id and isinstance(effect.message, wire.Fault)
