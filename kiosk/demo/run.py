"""``kiosk demo``: a desk, one simulated bed and a bedside view, in one command."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from pathlib import Path

from gpiozero.pins.mock import MockFactory

from kiosk import settings
from kiosk.bedside.devices import Devices, choose_devices
from kiosk.bedside.journal_file import JournalFile
from kiosk.bedside.service import Bedside
from kiosk.bedside.watchers import Watchers
from kiosk.demo.auto import BED_HZ, SEAT_HZ, Story, run_calls
from kiosk.demo.bedside_view import BedsideView
from kiosk.demo.open_pages import open_pages
from kiosk.demo.robot import Robot
from kiosk.demo.ward import Ward
from kiosk.errors import KioskError
from kiosk.hardware.pins import simulated_pins
from kiosk.hardware.selection import select_camera, select_microphone, select_speaker
from kiosk.hardware.simulated_finger import SimulatedFinger
from kiosk.hardware.speaker import SimulatedSpeaker
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.settings import Settings, read_secret

NURSES = (("nurse-1", "Nurse Lin"), ("nurse-2", "Nurse Meyer"))
FIRST_SEAT = "nurse-1"


def demo_settings(*, port: int, auto: bool, audio_call: bool = False) -> Settings:
    """The demo's ward: real devices where the laptop has them, else the moving picture and a spoken sample."""
    audio = settings.Audio(microphone=f"tone:{BED_HZ:g}", speaker="simulated")
    video = settings.Video(camera="test")
    if not auto:
        microphone, no_microphone = select_microphone(settings.Audio())
        speaker, no_speaker = select_speaker(settings.Audio())
        camera, no_camera = select_camera(settings.Video())
        for missing, stands_in in (
            (no_microphone, "a spoken sample"),
            (no_speaker, "a silent speaker with a meter"),
            (no_camera, "a moving test picture"),
        ):
            if missing:
                print(f"{missing}: {stands_in} stands in")
        audio = settings.Audio(
            microphone="auto" if microphone else "sample", speaker="auto" if speaker else "simulated"
        )
        video = settings.Video(camera="auto" if camera else "test")
    return Settings(
        bed=settings.Bed(group="ward-3", ward="Ward 3", room="301", bed="2", language="en"),
        signaling=settings.Signaling(user_id="bed-301-2"),
        call=settings.Call(type="audio" if audio_call else "video"),
        buttons=settings.Buttons(simulated=True, bathroom_pin=24, staff_pin=25),
        relay=settings.Relay(pin=23),
        audio=audio,
        video=video,
        # The robot sits in this very process; a person's browser is best reached where it listens.
        media=settings.Media(interfaces=(LOOPBACK,) if auto else ()),
        desk=settings.Desk(
            port=port,
            close_from_seat=True,
            wrap_up=0.0 if auto else 5.0,
            seats=tuple(settings.Seat(user_id=user_id, name=name, groups=("ward-3",)) for user_id, name in NURSES),
        ),
    )


async def run_demo(*, auto: bool, browser: bool, port: int, audio_call: bool = False) -> int:
    """Run until Ctrl-C, or with *auto* until everything is verified; returns the exit status."""
    if auto:
        logging.getLogger("kiosk").setLevel(logging.WARNING)
        logging.getLogger("kiosk.desk").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="kiosk-demo-") as folder:
        ward = Ward(Path(folder), demo_settings(port=0 if auto else port, auto=auto, audio_call=audio_call))
        ward.prepare()
        prepare_media(ward.settings.media.interfaces)
        desk = await ward.start_desk()
        try:
            bed = ward.bed_settings(desk.url)
            if auto:
                return await _verify(ward, bed, desk.url)
            return await _show(ward, bed, desk.url, port=port + 1 if port else 0, browser=browser)
        finally:
            await desk.stop()


def _bedside(ward: Ward, bed: Settings, devices: Devices, watchers: Watchers) -> Bedside:
    user_sig_file = ward.folder / bed.signaling.user_sig_file
    journal = JournalFile(ward.folder / bed.state.folder)
    return Bedside(
        bed,
        devices,
        journal=journal,
        user_sig=lambda: read_secret(user_sig_file),
        folder=ward.folder,
        watchers=watchers,
    )


async def _verify(ward: Ward, bed: Settings, desk_url: str) -> int:
    pins, story = simulated_pins(), Story()
    devices = choose_devices(bed, factory=pins)
    assert isinstance(devices.speaker, SimulatedSpeaker)
    bedside = _bedside(ward, bed, devices, Watchers(view=story.show, trace=story.trace, picture=lambda frame: None))
    code = ward.seat_link(desk_url, FIRST_SEAT).partition("#code=")[2]
    running = asyncio.create_task(bedside.run())
    try:
        async with Robot(desk_url, code, hz=SEAT_HZ) as robot:
            await run_calls(
                robot=robot,
                story=story,
                call=_finger(pins, bed.buttons.call_pin),
                attend=_finger(pins, bed.buttons.attend_pin),
                speaker=devices.speaker,
            )
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    print("demo: a press rang the seat, both saw and heard each other, all verified")
    return 0


def _finger(pins: MockFactory, pin: int | str) -> SimulatedFinger:
    if not isinstance(pin, int):
        raise KioskError("the demo needs all its buttons")
    return SimulatedFinger(pins, pin)


async def _show(ward: Ward, bed: Settings, desk_url: str, *, port: int, browser: bool) -> int:
    pins = simulated_pins()
    devices = choose_devices(bed, factory=pins)
    view = BedsideView(
        devices,
        port=port,
        fingers={
            "call": _finger(pins, bed.buttons.call_pin),
            "bathroom": _finger(pins, bed.buttons.bathroom_pin),
            "staff": _finger(pins, bed.buttons.staff_pin),
            "cancel": _finger(pins, bed.buttons.cancel_pin),
            "attend": _finger(pins, bed.buttons.attend_pin),
        },
    )
    bedside = _bedside(ward, bed, devices, Watchers(view=view.show, picture=view.picture))
    running = asyncio.create_task(bedside.run())
    seat_link = ward.seat_link(desk_url, FIRST_SEAT)
    other_link = ward.seat_link(desk_url, NURSES[1][0])

    def ready(url: str) -> None:
        print(f"\nSeat page (signed in as {NURSES[0][1]}): {seat_link}")
        print(f"A second seat ({NURSES[1][1]}):       {other_link}")
        print(f"Bedside view:                        {url}")
        print("\nPress the button in the bedside view; answer on the seat page. Ctrl-C ends the demo.", flush=True)
        if browser:
            open_pages([seat_link, url])

    try:
        await view.run(ready)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return 0
