"""One whole bed whose buttons are pressed, for ``kiosk bench faults``.

It is what a Raspberry Pi runs (:class:`~kiosk.bedside.service.Bedside` with simulated pins), but for camera,
microphone and speaker, which it lacks. A finger on a thread taps its buttons for 5 ms, with bounce.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path

from kiosk.bedside.devices import choose_devices
from kiosk.bedside.journal_file import JournalFile
from kiosk.bedside.service import Bedside
from kiosk.bedside.watchers import Watchers
from kiosk.bench.tally import Tally
from kiosk.errors import KioskError
from kiosk.hardware.pins import simulated_pins
from kiosk.hardware.simulated_finger import SimulatedFinger
from kiosk.settings import Settings

TAP_S = 0.005
PATIENCE_S = 90.0
"""A request that is not at the desk by then, with every fault's end long past, is lost."""
LOOK_AGAIN_S = 0.01
MAX_LINGER_S = 0.3
"""How long a request is left open after it was seen."""


class PressedBed:
    """A bed and the fingers at it.

    *state* is the folder of its journal, *fingers* are the threads that tap, *pause_s* lies between requests.
    """

    def __init__(
        self,
        settings: Settings,
        user_sig: str,
        *,
        state: Path,
        tally: Tally,
        chance: random.Random,
        fingers: Executor,
        pause_s: float,
    ) -> None:
        self.user_id = settings.signaling.user_id
        self._settings = settings
        self._user_sig = user_sig
        self._state = state
        self._tally = tally
        self._chance = chance
        self._fingers = fingers
        self._pause_s = pause_s
        self._pins = simulated_pins()
        buttons = settings.buttons
        self._call, self._cancel, self._attend = (
            SimulatedFinger(self._pins, pin, rng=random.Random(chance.random()))  # noqa: S311  (bounce)
            for pin in (buttons.call_pin, buttons.cancel_pin, buttons.attend_pin)
            if isinstance(pin, int)
        )
        self._bedside: Bedside | None = None
        self._running: asyncio.Task[None] | None = None
        self.taps = 0
        self.slow_taps = 0
        """Taps that the machine stretched beyond the bounce time, so that one may rightly be seen as two."""
        self.presses = 0
        self.may_restart: Callable[[], bool] = lambda: False
        """Whether this is a moment to restart it, asked when its request is at the desk."""
        self.restarts = 0
        self.settled = asyncio.Event()
        """Cleared while it restarts: what it knew then is in the desk's memory only."""
        self.settled.set()

    def start(self) -> None:
        """Switch it on."""
        devices = choose_devices(self._settings, factory=self._pins)
        self._bedside = Bedside(
            self._settings,
            devices,
            journal=JournalFile(self._state),
            user_sig=lambda: self._user_sig,
            watchers=Watchers(trace=self._trace),
        )
        self._running = asyncio.get_running_loop().create_task(self._bedside.run())

    async def stop(self) -> None:
        """Switch it off in an orderly way. Raises what ended it before."""
        assert self._running is not None
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running

    async def live(self, presses: int) -> None:
        """Ask for help again and again, until it was asked *presses* times."""
        while presses > 0:
            count = min(presses, self._chance.choice((1, 1, 1, 2, 3)))
            await self._ask(count)
            presses -= count
            await asyncio.sleep(self._chance.uniform(0, 2 * self._pause_s))

    async def _ask(self, presses: int) -> None:
        """One request: pressed, seen at the desk, sometimes restarted, attended or cancelled."""
        await self._tap_call()
        request_id = self._request_id
        for _ in range(presses - 1):
            await self._lift()
            await self._tap_call()
        if not await self._is_at_the_desk(request_id):
            return
        await asyncio.sleep(self._chance.uniform(0, MAX_LINGER_S) if self._chance.random() < 0.3 else 0)
        if self._tally.is_there(request_id) and self.may_restart():
            await self._restart(request_id)
        if not await self._is_at_the_desk(request_id):
            return
        self._tally.close(request_id)
        await self._tap(self._attend if self._chance.random() < 0.7 else self._cancel)
        await self._until(lambda: self._request_id != request_id, "the request is closed at the bed")
        await self._lift()

    async def _restart(self, request_id: str) -> None:
        self.restarts += 1
        self.settled.clear()
        await self.stop()
        self.start()
        await self._until(lambda: self._request_id == request_id, "the desk gives the request back")
        self.settled.set()

    async def _is_at_the_desk(self, request_id: str) -> bool:
        try:
            await self._until(lambda: self._tally.is_there(request_id), "the request is at the desk")
        except KioskError:
            self._tally.give_up(request_id)
            return False
        return True

    async def _tap_call(self) -> None:
        seen = self.presses
        self.taps += 1
        await self._tap(self._call)
        await self._until(lambda: self.presses > seen, "the button's press is seen")

    async def _tap(self, finger: SimulatedFinger) -> None:
        def tap() -> float:
            began = time.monotonic()
            finger.tap(TAP_S)
            return time.monotonic() - began

        took_s = await asyncio.get_running_loop().run_in_executor(self._fingers, tap)
        self.slow_taps += finger is self._call and took_s > self._settings.buttons.bounce

    async def _lift(self) -> None:
        """A finger comes down again only after the contact has come to rest."""
        await asyncio.sleep(2 * self._settings.buttons.bounce)

    @property
    def _request_id(self) -> str:
        assert self._bedside is not None
        return self._bedside.request_id

    def _trace(self, event: str, call_id: str = "", *, ago: float = 0.0) -> None:
        if event == "edge":
            # The bed is told of the press right after this.
            asyncio.get_running_loop().call_soon(self._pressed, time.monotonic() - ago)

    def _pressed(self, at: float) -> None:
        self.presses += 1
        self._tally.press(self.user_id, self._request_id, at=at)

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert self._running is not None
            if self._running.done():
                await self._running
            if time.monotonic() > end:
                raise KioskError(f"{self.user_id}: not within {PATIENCE_S:.0f} s: {what}")
            await asyncio.sleep(LOOK_AGAIN_S)
