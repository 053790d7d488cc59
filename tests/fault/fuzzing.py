"""Messages as no peer should send them, and both ends of the wire that must bear them.

An input begins as a valid message. Its values are replaced, its fields removed, added, moved and repeated, and its
bytes are cut, flipped, doubled and filled up; sometimes only bytes are left. What still is a message goes on to the
machines behind the parsers, whose state grows from input to input; ids that are really in use are among the values.
"""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import msgspec
from msgspec import UNSET

from kiosk.bedside import bed_events, request_state
from kiosk.bedside.bed import Bed
from kiosk.desk.allocation import Allocation
from kiosk.desk.allocation_events import Said, SeatArrived, Tell
from kiosk.desk.ledger import Rules
from kiosk.errors import BadMessage
from kiosk.signaling import codec
from kiosk.signaling import messages as wire
from tests.unit.test_messages import EXAMPLES

BED, SEATS = "bed-1", ("nurse-1", "doctor-1")
INPUTS_PER_HISTORY = 100

ODD_VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    2,
    -1,
    2**53,
    2**64,
    10**400,
    1.5,
    -0.0,
    1e308,
    "",
    "x",
    "r1",
    "c1",
    "a\nb",
    "\x00",
    "\ud800",
    "病" * 65,
    "y" * 300,
    "waiting",
    "talking",
    "answered",
    "attended",
    "closed_by_seat",
    "free",
    [],
    {},
    [[]],
    {"type": "ping"},
]
ODD_BYTES = [b"\xff", b"\x00", b'"', b"\\", b"{", b"}", b"[" * 3000, b"9" * 5000, b"\xed\xa0\x80", b" " * 70_000]


class Inputs:
    """Draws inputs by *chance*."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.in_use: dict[str, Any] = {}
        """Ids and the fence that mean something to the ends now, by the fields they stand in."""

    def next(self) -> bytes:
        """One input."""
        chance = self._chance
        whole = json.loads(codec.encode(chance.choice(EXAMPLES)))
        if chance.random() < 0.7:
            self._make_it_fit(whole)
        for _ in range(chance.choice((0, 0, 0, 1, 2, 4))):
            self._change(whole)
        raw = json.dumps(whole, ensure_ascii=chance.random() < 0.5).encode(errors="surrogatepass")
        for _ in range(chance.choice((0, 0, 0, 1, 3))):
            raw = self._damage(raw)
        return raw if chance.random() < 0.97 else chance.randbytes(chance.randrange(200))

    def _make_it_fit(self, whole: dict[str, Any]) -> None:
        for part in (whole, whole.get("request")):
            if isinstance(part, dict):
                part.update({name: value for name, value in self.in_use.items() if name in part})

    def _change(self, whole: dict[str, Any]) -> None:
        chance = self._chance
        part = whole
        while chance.random() < 0.6:
            inner = [value for value in part.values() if isinstance(value, dict)]
            if not inner:
                break
            part = chance.choice(inner)
        if not part:
            return
        name = chance.choice(list(part))
        kind = chance.randrange(6)
        if kind == 0:
            del part[name]
        elif kind == 1:
            part[chance.choice(("id", "type", "request", "call_id", "fence", "x" * 300))] = self._value()
        elif kind == 2:
            part[name] = [part[name]] * chance.choice((1, 2, 33))
        elif kind == 3:
            part[name] = copy.deepcopy(whole.get("type"))
        else:
            part[name] = self._value()

    def _value(self) -> Any:
        in_use = list(self.in_use.values())
        return copy.deepcopy(self._chance.choice(in_use if in_use and self._chance.random() < 0.5 else ODD_VALUES))

    def _damage(self, raw: bytes) -> bytes:
        chance = self._chance
        at = chance.randrange(len(raw) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            return raw[:at]
        if kind == 1:
            return raw[:at] + chance.choice(ODD_BYTES) + raw[at:]
        if kind == 2:
            return raw[:at] + raw[at // 2 :]
        if kind == 3:
            return raw[at:] + raw[:at]
        return raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]


class Ends:
    """A bed and a desk with two seats, each taking whatever is said to it."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._now = 0.0
        info = wire.BedInfo(group="ward")
        self._bed = Bed(rules=request_state.Rules(), info=info, devices=wire.Devices())
        self._desk = Allocation(rules=Rules(close_from_seat=True), first_fence=1)
        for seat in SEATS:
            self._desk.handle(SeatArrived(seat, seat, frozenset({"ward"}), None), now=0.0)
            self._said(seat, wire.SetSeatState(state="free"))
        self._said(BED, wire.Snapshot(bed=info))
        self._bed.handle(bed_events.LinkUp(30.0), now=0.0)
        self.messages = 0
        """Inputs that were messages for somebody."""

    def take(self, raw: bytes) -> None:
        """Every parser reads *raw*; raises whatever should not be raised."""
        self._now += 1
        assert codec.id_of(raw) is UNSET or isinstance(codec.id_of(raw), str)
        before = self.messages
        for decoder in (FROM_KIOSK, FROM_SEAT, TO_KIOSK, TO_SEAT):
            try:
                message = decoder.decode(raw)
            except BadMessage as error:
                fault = wire.Fault(code=wire.ErrorCode(error.code), message=str(error), field=error.field)
                TO_SEAT.decode(codec.encode(fault))
                continue
            self.messages = before + 1
            assert decoder.decode(codec.encode(message)) == message
            if decoder is TO_KIOSK:
                self._bed_hears(message)
            elif decoder is not TO_SEAT and not isinstance(message, wire.Login | wire.Pong):
                self._said(BED if decoder is FROM_KIOSK else self._seat_of(message), message)

    def presses(self) -> None:
        """The patient presses: there is something to talk about."""
        self._now += 1
        self._bed.handle(bed_events.CallPressed(self._now, f"r{self._now:.0f}"), now=self._now)
        told = request_state.open_request(self._bed.request, now=self._now)
        if told is None:
            assert request_state.kept_request(self._bed.request, now=self._now) is not None, "it answers a seat"
            return
        self._said(BED, wire.Request(request=told))

    def _seat_of(self, message: wire.Message) -> str:
        """The seat whose call is named, if one is."""
        lease = self._desk.ledger.leases.get(getattr(message, "call_id", ""))
        return lease.seat if lease is not None and lease.seat in SEATS else SEATS[0]

    def _said(self, user: str, message: wire.Message) -> None:
        effects = self._desk.handle(Said(user, message), now=self._now)
        for effect in effects:
            if isinstance(effect, Tell) and effect.user_id in (*SEATS, BED):
                (TO_KIOSK if effect.user_id == BED else TO_SEAT).decode(codec.encode(effect.message))
        ledger = self._desk.ledger
        board = ledger.board(
            ledger.seats[user if user in SEATS else SEATS[0]], now=self._now, rules=self._desk.rules
        )
        assert msgspec.convert(msgspec.to_builtins(board), wire.Board) == board
        held = [lease for lease in ledger.leases.values() if lease.seat in SEATS]
        if held:
            lease = held[int(self._now) % len(held)]
            self._inputs.in_use = {"call_id": lease.call_id, "fence": lease.fence, "request_id": lease.request_id}
        else:
            self._inputs.in_use = {"request_id": next(iter(ledger.requests), "r1")}

    def _bed_hears(self, message: wire.Message) -> None:
        for effect in self._bed.handle(bed_events.Received(message), now=self._now):
            if isinstance(effect, bed_events.Send):
                FROM_KIOSK.decode(codec.encode(effect.message))
        FROM_KIOSK.decode(codec.encode(self._bed.snapshot(now=self._now)))


def live_through(chance: random.Random, inputs: int = INPUTS_PER_HISTORY) -> int:
    """One history of both ends; returns how many inputs were messages. Raises with the input that is not borne."""
    drawn = Inputs(chance)
    ends = Ends(drawn)
    for _ in range(inputs):
        if chance.random() < 0.1:
            ends.presses()
        raw = drawn.next()
        try:
            ends.take(raw)
        except Exception as error:
            error.add_note(f"input: {raw[:2000]!r}")
            raise
    return ends.messages


FROM_KIOSK, FROM_SEAT = codec.Decoder(wire.FromKiosk), codec.Decoder(wire.FromSeat)
TO_KIOSK, TO_SEAT = codec.Decoder(wire.ToKiosk), codec.Decoder(wire.ToSeat)
