"""Presses the simulated buttons of ``kiosk run --hand`` by lines on standard input, and makes simulated faults.

A line is a button and what to do with it: ``call tap``, ``call down``, ``call up``, ``cancel hold 1.2``,
``attend tap 0.005``, ``call unplug``, ``call plug``. ``media stall 5`` lets no media through for 5 s, ``media
stall`` until ``media pass``; ``media stall-in`` and ``media stall-out`` do so in one direction, seen from the bed.
``media lose 0.05`` loses one datagram of 20 in each direction until ``media pass``; with ``media lose 0.05 0.025``
the others are 25 ms late. ``lamp shorted-low``, ``relay shorted-high``, ``camera covered``, ``microphone muted``,
``speaker unplugged`` break simulated devices, ``mended`` (``camera clear``) mends them.
For benchmarks, tests and trying things out; real pins cannot be pressed this way.
"""

from __future__ import annotations

import contextlib
import logging
import math
import sys
import threading
import time
from collections.abc import Iterator

from gpiozero.pins.mock import MockFactory

from kiosk.bedside.devices import Devices, simulated_faults
from kiosk.errors import KioskError
from kiosk.hardware.simulated_faults import SimulatedFaults
from kiosk.hardware.simulated_finger import SimulatedFinger
from kiosk.media.simulated_loss import SimulatedLoss, Stalled
from kiosk.settings import Settings

log = logging.getLogger(__name__)

TAP_S = 0.08
HOLD_S = 1.5
STALLS: dict[str, Stalled] = {"stall": "both", "stall-in": "in", "stall-out": "out"}
LIFTED_S = 0.12
"""A finger needs this long to come down again; less would be bounce."""


@contextlib.contextmanager
def follow_hand(settings: Settings, devices: Devices, pins: MockFactory, loss: SimulatedLoss) -> Iterator[None]:
    """Follow standard input on a thread; it ends with the input, or with the process."""
    buttons, faults = settings.buttons, simulated_faults(settings, devices, pins)
    wired = {
        "call": buttons.call_pin,
        "bathroom": buttons.bathroom_pin,
        "staff": buttons.staff_pin,
        "cancel": buttons.cancel_pin,
        "attend": buttons.attend_pin,
    }
    wirings = {"call": buttons.call_wiring, "bathroom": buttons.bathroom_wiring}
    normally_closed = {name for name, wiring in wirings.items() if wiring == "normally_closed"}
    threading.Thread(
        target=_follow, args=(wired, normally_closed, pins, loss, faults), name="hand", daemon=True
    ).start()
    yield


def _follow(
    wired: dict[str, int | str],
    normally_closed: set[str],
    pins: MockFactory,
    loss: SimulatedLoss,
    faults: SimulatedFaults,
) -> None:
    for line in sys.stdin:
        name, action, amount, late = [*line.split(), "", "", "", ""][:4]
        if name == "media":
            _media(loss, action, amount, late)
            continue
        if name in faults.parts:
            _break(faults, name, action)
            continue
        pin = wired.get(name)
        if not isinstance(pin, int):
            log.warning("x hand: no button %r: use %s, or media", name, ", ".join((*wired, *faults.parts)))
            continue
        finger = SimulatedFinger(pins, pin, normally_closed=name in normally_closed)
        try:
            seconds = float(amount) if amount else HOLD_S if action == "hold" else TAP_S
        except ValueError:
            log.warning("x hand: %r is not a number of seconds", amount)
            continue
        if action in ("tap", "hold"):
            finger.press()
            time.sleep(seconds)
            finger.release()
            time.sleep(LIFTED_S)
        elif action == "down":
            finger.press()
        elif action == "up":
            finger.release()
        elif action == "unplug":
            finger.unplug()
        elif action == "plug":
            finger.plug_in()
        else:
            log.warning("x hand: cannot %r: use tap, hold, down, up, unplug or plug", action)


def _break(faults: SimulatedFaults, part: str, how: str) -> None:
    try:
        faults.break_it(part, how)
    except KioskError as error:
        log.warning("x hand: %s", error)


def _media(loss: SimulatedLoss, action: str, amount: str, late: str) -> None:
    try:
        number, late_s = float(amount or math.inf), float(late or 0.0)
    except ValueError:
        log.warning("x hand: %r is not a number", f"{amount} {late}".strip())
        return
    if action in STALLS:
        loss.stall(STALLS[action], number)
    elif action == "lose":
        loss.be_bad(share=min(1.0, number), delay_s=late_s)
    elif action == "pass":
        loss.let_pass()
    else:
        log.warning("x hand: cannot media %r: use stall, stall-in, stall-out, lose or pass", action)
