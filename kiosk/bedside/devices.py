"""The hardware of one bed, chosen by the settings: real or simulated, and what is missing in words."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from gpiozero.pins import Factory
from gpiozero.pins.mock import MockFactory

from kiosk.hardware.button import Button, GpioButton
from kiosk.hardware.camera import Camera
from kiosk.hardware.lamp import GpioLamp, Lamp
from kiosk.hardware.microphone import AlsaMicrophone, Microphone
from kiosk.hardware.pins import real_pins, simulated_pins
from kiosk.hardware.relay import GpioRelay, Relay
from kiosk.hardware.selection import SWITCHED_OFF, select_camera, select_microphone, select_speaker
from kiosk.hardware.simulated_faults import SimulatedFaults
from kiosk.hardware.simulated_finger import SimulatedFinger
from kiosk.hardware.speaker import Speaker
from kiosk.media import dead_microphone
from kiosk.media.call_sound import CallSound
from kiosk.media.echo import NoEchoControl, choose_echo_control
from kiosk.media.loudness import volume
from kiosk.settings import Audio, Settings
from kiosk.signaling import messages as wire

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Devices:
    """What the bed has. ``faults`` says in words what it lacks, for the seat to know."""

    call_button: Button
    lamp: Lamp
    bathroom_button: Button | None = None
    staff_button: Button | None = None
    cancel_button: Button | None = None
    attend_button: Button | None = None
    relay: Relay | None = None
    camera: Camera | None = None
    microphone: Microphone | None = None
    speaker: Speaker | None = None
    sound: CallSound = field(default_factory=CallSound)
    faults: wire.Devices = wire.Devices()  # noqa: RUF009  (a frozen struct)


def choose_devices(settings: Settings, *, factory: Factory | None = None) -> Devices:
    """The devices *settings* ask for; *factory* are the GPIO pins, by default those of the settings.

    Raises :exc:`~kiosk.errors.HardwareFault` only for what the bed cannot be without: the call button, the lamp and
    the relay where there is to be one. A missing camera, microphone or speaker is logged and told.
    """
    buttons = settings.buttons
    if factory is None:
        factory = simulated_pins() if buttons.simulated else real_pins()
    camera, no_camera = select_camera(settings.video)
    speaker, no_speaker = select_speaker(settings.audio)
    microphone, no_microphone = select_microphone(settings.audio, speaker=speaker)
    for device, chosen, reason in (
        ("camera", camera, no_camera),
        ("microphone", microphone, no_microphone),
        ("speaker", speaker, no_speaker),
    ):
        log.info("- %s: %s%s", device, chosen.name if chosen else "none", f" ({reason})" if reason else "")
    return Devices(
        call_button=_line(buttons.call_pin, buttons.call_wiring, factory),
        bathroom_button=None
        if buttons.bathroom_pin == "none"
        else _line(buttons.bathroom_pin, buttons.bathroom_wiring, factory),
        staff_button=_optional(buttons.staff_pin, factory),
        cancel_button=_optional(buttons.cancel_pin, factory),
        attend_button=_optional(buttons.attend_pin, factory),
        lamp=GpioLamp(settings.lamp.pin, factory=factory),
        relay=_relay(settings, factory),
        camera=camera,
        microphone=microphone,
        speaker=speaker,
        sound=_sound(settings.audio, echoes=isinstance(microphone, AlsaMicrophone) and speaker is not None),
        faults=_faults(
            camera="" if camera else _told(no_camera),
            microphone="" if microphone else _told(no_microphone),
            speaker="" if speaker else _told(no_speaker),
        ),
    )


def simulated_faults(settings: Settings, devices: Devices, factory: MockFactory) -> SimulatedFaults:
    """How simulated *devices* on the pins of *factory* can be broken."""
    return SimulatedFaults(
        factory,
        {"button": settings.buttons.call_pin, "lamp": settings.lamp.pin, "relay": settings.relay.pin},
        camera=devices.camera,
        microphone=devices.microphone,
        speaker=devices.speaker,
    )


def _sound(audio: Audio, *, echoes: bool) -> CallSound:
    """*echoes*: there are a real microphone and a loudspeaker it can hear."""
    echo = choose_echo_control(audio.echo) if echoes else NoEchoControl()
    log.info("- echo control: %s", echo.name)
    return CallSound(
        echo=echo,
        volume=volume(day=audio.volume, night=audio.night_volume, hours=audio.night),
        dead_after_s=dead_microphone.GATED_S if audio.echo == "none" else dead_microphone.DEAD_S,
    )


def _line(pin: int, wiring: str, factory: Factory) -> Button:
    normally_closed = wiring == "normally_closed"
    button = GpioButton(pin, factory=factory, normally_closed=normally_closed)
    if isinstance(factory, MockFactory):
        SimulatedFinger(factory, pin, normally_closed=normally_closed).plug_in()
    return button


def _optional(pin: int | str, factory: Factory) -> Button | None:
    return GpioButton(pin, factory=factory) if isinstance(pin, int) else None


def _relay(settings: Settings, factory: Factory) -> Relay | None:
    pin = settings.relay.pin
    return GpioRelay(pin, active_high=settings.relay.active_high, factory=factory) if isinstance(pin, int) else None


def _faults(*, camera: str, microphone: str, speaker: str) -> wire.Devices:
    told: dict[wire.DeviceName, str] = {"camera": camera, "microphone": microphone, "speaker": speaker}
    kinds = {
        device: wire.FaultKind.OFF if words == SWITCHED_OFF else wire.FaultKind.MISSING
        for device, words in told.items()
        if words
    }
    return wire.Devices(camera=camera, microphone=microphone, speaker=speaker, kinds=kinds)


def _told(reason: str) -> str:
    return (reason or "none")[:200]
