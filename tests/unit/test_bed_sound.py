"""What the settings make of the bed's sound."""

from __future__ import annotations

import pytest
from gpiozero.pins.mock import MockFactory

from kiosk.bedside.devices import choose_devices
from kiosk.media.echo import EchoControl, NoEchoControl
from kiosk.settings import Audio, Settings, Video


class Loaded(NoEchoControl):
    """Stands for WebRTC's, which takes 26 MB."""


@pytest.mark.parametrize(
    ("audio", "kind"),
    [
        (Audio(microphone="hw:1", speaker="hw:1"), Loaded),
        (Audio(microphone="hw:1", speaker="hw:1", echo="none"), NoEchoControl),
        (Audio(microphone="hw:1", speaker="none"), NoEchoControl),
        (Audio(microphone="sample", speaker="simulated"), NoEchoControl),
    ],
)
def test_echo_control_is_loaded_where_a_microphone_can_hear_a_loudspeaker(
    audio: Audio, kind: type[EchoControl], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kiosk.media.echo.WebrtcEchoControl", Loaded)
    factory = MockFactory()
    try:
        chosen = choose_devices(Settings(audio=audio, video=Video(camera="none")), factory=factory)
        assert type(chosen.sound.echo) is kind
    finally:
        factory.reset()
