"""Which camera, microphone and speaker the settings mean.

Each function returns the device, or None and why in words. ``auto`` takes what is really there and never replaces a
missing device by a simulated one: a bed must not show a moving picture in place of its patient.
"""

from __future__ import annotations

from kiosk import settings
from kiosk.errors import HardwareFault
from kiosk.hardware.alsa import open_pcm
from kiosk.hardware.camera import Camera
from kiosk.hardware.camera_picamera2 import Picamera2Camera, has_pi_camera
from kiosk.hardware.camera_v4l2 import V4l2Camera, find_v4l2_camera
from kiosk.hardware.microphone import AlsaMicrophone, Microphone, SampleMicrophone, ToneMicrophone
from kiosk.hardware.moving_picture import MovingPicture
from kiosk.hardware.room import RoomMicrophone
from kiosk.hardware.simulated_h264 import Board
from kiosk.hardware.simulated_picamera2 import SimulatedLibrary
from kiosk.hardware.speaker import AlsaSpeaker, SimulatedSpeaker, Speaker

SWITCHED_OFF = "switched off in the settings"
ALSA_DEFAULT = "default"


def select_camera(wanted: settings.Video) -> tuple[Camera | None, str]:
    """The camera, or None and why."""
    width, height, fps = wanted.width, wanted.height, wanted.fps
    if wanted.camera == "none":
        return None, SWITCHED_OFF
    if wanted.camera == "test":
        return MovingPicture(width=width, height=height, fps=fps), ""
    if wanted.camera == "test-h264":
        library = SimulatedLibrary(Board())
        return Picamera2Camera(width=width, height=height, fps=fps, rotation=wanted.rotation, library=library), ""
    if wanted.camera == "picamera2" or (wanted.camera == "auto" and _pi_camera_is_there()):
        return Picamera2Camera(width=width, height=height, fps=fps, rotation=wanted.rotation), ""
    if wanted.camera != "auto":
        return V4l2Camera(wanted.camera, width=width, height=height, fps=fps), ""
    device = find_v4l2_camera()
    if device is None:
        return None, "no camera found"
    return V4l2Camera(device, width=width, height=height, fps=fps), ""


def select_microphone(wanted: settings.Audio, *, speaker: Speaker | None = None) -> tuple[Microphone | None, str]:
    """The microphone, or None and why. One in a simulated room hears the simulated *speaker*."""
    choice = wanted.microphone
    if choice == "room":
        if isinstance(speaker, SimulatedSpeaker):
            return RoomMicrophone(speaker), ""
        return None, 'audio.microphone = "room" hears only audio.speaker = "simulated"'
    if choice == "none":
        return None, SWITCHED_OFF
    if choice == "sample":
        return SampleMicrophone(), ""
    if choice.startswith("tone:"):
        return ToneMicrophone(_hertz(choice)), ""
    if choice != "auto":
        return AlsaMicrophone(choice), ""
    try:
        open_pcm("microphone", ALSA_DEFAULT, capture=True, periods=2).close()
    except HardwareFault as fault:
        return None, str(fault)
    return AlsaMicrophone(ALSA_DEFAULT), ""


def select_speaker(wanted: settings.Audio) -> tuple[Speaker | None, str]:
    """The speaker, or None and why."""
    choice = wanted.speaker
    if choice == "none":
        return None, SWITCHED_OFF
    if choice == "simulated":
        return SimulatedSpeaker(), ""
    if choice != "auto":
        return AlsaSpeaker(choice), ""
    try:
        open_pcm("speaker", ALSA_DEFAULT, capture=False, periods=2).close()
    except HardwareFault as fault:
        return None, str(fault)
    return AlsaSpeaker(ALSA_DEFAULT), ""


def _pi_camera_is_there() -> bool:
    try:
        return has_pi_camera()
    except HardwareFault:
        return False


def _hertz(choice: str) -> float:
    try:
        return float(choice.removeprefix("tone:"))
    except ValueError:
        raise HardwareFault(f"audio.microphone = {choice!r}: write for example tone:440") from None
