"""One whole bed in a process of its own, which may be killed at any moment, for ``kiosk bench faults``.

It is what a Raspberry Pi runs (:class:`~kiosk.bedside.service.Bedside` with simulated pins), but for camera and
microphone, which it lacks. Its bench (:mod:`kiosk.bench.bed_process`) speaks to it over a socket, a line of JSON at
a time: taps to make, and back what happens at the pin, in the bed and on the disk, each told before what follows
from it. So what a killed bed has said is what had happened; of the rest its journal tells.

Threads: a finger taps, with bounce, on the thread that reads the socket; the disk's thread tells what is on the
disk; everything else is the loop's.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import msgspec
from gpiozero.pins.mock import MockFactory

from kiosk import settings
from kiosk.bedside.call_events import Kind
from kiosk.bedside.devices import choose_devices
from kiosk.bedside.journal import Kept
from kiosk.bedside.journal_file import JournalFile
from kiosk.bedside.request_events import LampSign, View
from kiosk.bedside.service import Bedside
from kiosk.bedside.watchers import Watchers
from kiosk.hardware.button import Button, Edge
from kiosk.hardware.pins import simulated_pins
from kiosk.hardware.simulated_finger import SimulatedFinger
from kiosk.media.interfaces import prepare_media
from kiosk.settings import Settings

TAP_S = 0.005
SETTINGS_FILE = "bed.toml"
"""In the bed's folder, beside its UserSig and the folder of its journal."""

ButtonName = Literal["call", "cancel", "attend"]


class Tap(msgspec.Struct, frozen=True):
    """To the bed: tap *button*. ``number`` rises from tap to tap of this bed, in all its lives."""

    number: int
    button: ButtonName


class Finger(msgspec.Struct, tag=True, frozen=True):
    """A finger comes down on the call button, at ``at``, monotonic seconds; its edges follow."""

    tap: int
    at: float


class PinEdge(msgspec.Struct, tag=True, frozen=True):
    """A raw edge of the call button, before the bed is told. ``at``: monotonic seconds."""

    tap: int
    made: bool
    at: float


class Lifted(msgspec.Struct, tag=True, frozen=True):
    """The finger is up again."""

    tap: int


class Saw(msgspec.Struct, tag=True, frozen=True):
    """The bed has seen a press of the call button that was made at ``at``, monotonic seconds."""

    at: float


class OnDisk(msgspec.Struct, tag=True, frozen=True):
    """The journal has, after its fsync: the open request and its presses; an empty id for none."""

    request_id: str
    presses: int


class Shows(msgspec.Struct, tag=True, frozen=True):
    """The lamp is lit, or dark."""

    lit: bool


class Talks(msgspec.Struct, tag=True, frozen=True):
    """A call has begun, or ended."""

    on: bool


Report = Finger | PinEdge | Lifted | Saw | OnDisk | Shows | Talks


def on_disk(kept: Kept) -> OnDisk:
    """What *kept* says of the request."""
    return OnDisk("", 0) if kept.request is None else OnDisk(kept.request.request_id, kept.request.presses)


def live(folder: Path, bench: socket.socket) -> None:
    """The process: live in *folder* until *bench* closes the socket, or until it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the bench, and the bench ends its beds
    logging.getLogger("kiosk").setLevel(logging.CRITICAL)
    with bench:
        asyncio.run(_live(folder, _Mouth(bench)))


class _Mouth:
    """Says each report at once, whole; from any thread."""

    def __init__(self, bench: socket.socket) -> None:
        self.bench = bench
        self._one_at_a_time = threading.Lock()

    def say(self, report: Report) -> None:
        with self._one_at_a_time, suppress(OSError):  # the bench is gone: nobody is left to be told
            self.bench.sendall(_encoder.encode(report) + b"\n")


class _WitnessedButton(Button):
    """Tells of each edge before the bed hears of it."""

    def __init__(self, button: Button, witness: Callable[[Edge], None]) -> None:
        self._button = button
        self._witness = witness
        self.name = button.name

    def start(self, on_edge: Callable[[Edge], None]) -> None:
        def seen(edge: Edge) -> None:
            self._witness(edge)
            on_edge(edge)

        self._button.start(seen)

    def level(self) -> bool:
        return self._button.level()

    def close(self) -> None:
        self._button.close()


class _WitnessedJournal(JournalFile):
    """Tells what is on the disk, right after it came there and before anything is sent."""

    def __init__(self, folder: Path, say: Callable[[Report], None]) -> None:
        super().__init__(folder)
        self._say = say

    def write(self, kept: Kept) -> None:
        super().write(kept)
        self._say(on_disk(kept))


class _Hand:
    """The fingers at the bed's buttons."""

    def __init__(self, made: Settings, pins: MockFactory, mouth: _Mouth) -> None:
        buttons = made.buttons
        wired = {"call": buttons.call_pin, "cancel": buttons.cancel_pin, "attend": buttons.attend_pin}
        self._fingers = {
            name: SimulatedFinger(pins, pin, rng=random.Random())  # noqa: S311  (bounce)
            for name, pin in wired.items()
            if isinstance(pin, int)
        }
        self._mouth = mouth
        self._tap = 0

    def saw(self, edge: Edge) -> None:
        """The call button's edge, on the finger's thread."""
        self._mouth.say(PinEdge(self._tap, edge.active, edge.at))

    def follow(self, ended: Callable[[], None]) -> None:
        """Tap as the bench says, on this thread, until it says no more."""
        with suppress(OSError), self._mouth.bench.makefile("rb") as lines:
            for line in lines:
                tap = _tap_decoder.decode(line)
                self._tap = tap.number
                if tap.button == "call":
                    self._mouth.say(Finger(tap.number, time.monotonic()))
                self._fingers[tap.button].tap(TAP_S)
                self._mouth.say(Lifted(tap.number))
        with suppress(RuntimeError):  # the bed has ended before
            ended()


async def _live(folder: Path, mouth: _Mouth) -> None:
    made = settings.load(folder / SETTINGS_FILE)
    user_sig = settings.read_secret(folder / made.signaling.user_sig_file)
    prepare_media(made.media.interfaces)
    pins = simulated_pins()
    devices = choose_devices(made, factory=pins)
    hand = _Hand(made, pins, mouth)

    def trace(event: str, call_id: str = "", *, ago: float = 0.0) -> None:
        if event in (Kind.BEGIN, Kind.END):
            mouth.say(Talks(event == Kind.BEGIN))

    def view(shown: View, told: str) -> None:
        mouth.say(Shows(shown.lamp is not LampSign.OFF))

    bedside = Bedside(
        made,
        replace(devices, call_button=_WitnessedButton(devices.call_button, hand.saw)),
        journal=_WitnessedJournal(folder / made.state.folder, mouth.say),
        user_sig=lambda: user_sig,
        folder=folder,
        watchers=Watchers(view=view, trace=trace, pressed=lambda at: mouth.say(Saw(at))),
    )
    loop = asyncio.get_running_loop()
    living = loop.create_task(bedside.run())
    threading.Thread(
        target=hand.follow, args=(lambda: loop.call_soon_threadsafe(living.cancel),), name="finger", daemon=True
    ).start()
    with suppress(asyncio.CancelledError):
        await living


_encoder = msgspec.json.Encoder()
_tap_decoder = msgspec.json.Decoder(Tap)
