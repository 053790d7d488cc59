"""What breaks when: a seeded random sequence of faults for the connections of a :class:`FaultProxy`.

The same seed draws the same sequence of kinds, lengths and victims; which bed a victim is depends on the order
in which beds happen to connect.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence

from kiosk.bench.fault_proxy import Direction, FaultProxy, Proxied

MAX_DELAY_S = 0.4
MAX_SPELL_S = 3.0
"""How long a delay or a drip lasts."""
MAX_HOLD_S = 9.0
"""Longer than a kiosk waits for its login: held connections are overtaken by newer ones."""
HELD_FROM_BIRTH = 0.03
"""The part of new connections that is held before their first byte."""
WHOLE_WARD = 0.04
"""The part of faults that strikes every connection at once, as when an access point restarts."""

WEIGHTS = {"delay": 5, "drip": 3, "fin": 4, "rst": 4, "halve": 4, "hold": 3, "swallow": 2}
"""A swallowed connection keeps its bed away for 5 to 15 s; the others are over sooner."""


class FaultSchedule:
    """Breaks connections of *proxy* until cancelled; counts what it did in :attr:`injected`."""

    def __init__(self, proxy: FaultProxy, chance: random.Random, *, every_s: float) -> None:
        self._proxy = proxy
        self._chance = chance
        self._every_s = every_s
        self._spells: set[asyncio.TimerHandle] = set()
        self.injected: Counter[str] = Counter()

    async def run(self) -> None:
        """A fault every so often; what can be taken back is taken back at the end."""
        self._proxy.greet = self._greet
        try:
            while True:
                await asyncio.sleep(self._chance.expovariate(1 / self._every_s))
                self._strike()
        finally:
            self._proxy.greet = lambda connection: None
            for spell in self._spells:
                spell.cancel()
            for connection in self._proxy.connections:
                connection.calm()

    def _strike(self) -> None:
        everybody: Sequence[Proxied] = list(self._proxy.connections)
        if not everybody:
            return
        (kind,) = self._chance.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))
        victims = everybody if self._chance.random() < WHOLE_WARD else [self._chance.choice(everybody)]
        for victim in victims:
            self._inject(kind, victim)

    def _greet(self, connection: Proxied) -> None:
        if self._chance.random() < HELD_FROM_BIRTH:
            self._inject("hold", connection)

    def _inject(self, kind: str, victim: Proxied) -> None:
        self.injected[kind] += 1
        chance = self._chance
        ways = [victim.ways[direction] for direction in chance.choice(_SIDES)]
        if kind in ("fin", "rst"):
            victim.cut(reset=kind == "rst")
            return
        for way in ways:
            if kind == "delay":
                way.delay_s = chance.uniform(0, MAX_DELAY_S)
                way.jitter_s = chance.uniform(0, MAX_DELAY_S)
            elif kind == "drip":
                way.drips = True
            elif kind == "halve":
                way.halves = True
            elif kind == "swallow":
                way.swallows = True
            else:
                way.hold()
        if kind == "hold":
            self._later(chance.uniform(0, MAX_HOLD_S), victim.calm)
        elif kind in ("delay", "drip"):
            self._later(chance.uniform(0, MAX_SPELL_S), victim.calm)

    def _later(self, wait_s: float, act: Callable[[], None]) -> None:
        def due() -> None:
            self._spells.discard(spell)
            act()

        spell = asyncio.get_running_loop().call_later(wait_s, due)
        self._spells.add(spell)


_SIDES = ((Direction.UP,), (Direction.DOWN,), (Direction.UP, Direction.DOWN))
