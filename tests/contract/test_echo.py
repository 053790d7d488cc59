"""Echo control by WebRTC's real processing, and calls that go on without it."""

from __future__ import annotations

import importlib
import logging
import threading

import numpy as np
import pytest

from kiosk.hardware.levels import rms_dbfs
from kiosk.hardware.microphone import SampleMicrophone
from kiosk.hardware.sound import BLOCK_S, BLOCK_SAMPLES, Block
from kiosk.media.echo import EchoControl, NoEchoControl, WebrtcEchoControl, choose_echo_control

LATE_BLOCKS = 2
SECONDS = 5


@pytest.fixture(scope="module")
def webrtc() -> EchoControl:
    pytest.importorskip("livekit.rtc.apm", reason="needs the extra echo")
    return WebrtcEchoControl()


def speech() -> list[Block]:
    voice = SampleMicrophone()
    return [voice._block(number) for number in range(SECONDS * 50)]


def echoed(control: EchoControl) -> tuple[float, float]:
    """The levels in dB of the echo in the last second and of what is left of it."""
    control.begin()
    said = speech()
    noise = np.random.default_rng(1)
    heard: list[Block] = []
    left: list[Block] = []
    for number, block in enumerate(said):
        control.played(block, delay_s=0.02)
        echo = said[number - LATE_BLOCKS] * 0.5 if number >= LATE_BLOCKS else np.zeros(BLOCK_SAMPLES)
        captured = (echo + noise.normal(0, 10, BLOCK_SAMPLES)).astype(np.int16)
        heard.append(captured)
        left.append(control.captured(captured, delay_s=BLOCK_S))
    control.end()
    assert {len(block) for block in left} == {BLOCK_SAMPLES}
    return rms_dbfs(np.concatenate(heard[-100:])), rms_dbfs(np.concatenate(left[-100:]))


def test_the_echo_of_what_is_played_is_taken_out(webrtc: EchoControl) -> None:
    heard, left = echoed(webrtc)
    assert heard - left > 25


def test_each_call_begins_anew(webrtc: EchoControl) -> None:
    first, second = echoed(webrtc), echoed(webrtc)
    assert second[0] - second[1] == pytest.approx(first[0] - first[1], abs=3)


def test_a_voice_alone_goes_through(webrtc: EchoControl) -> None:
    webrtc.begin()
    said = speech()
    heard = [webrtc.captured(block, delay_s=BLOCK_S) for block in said]
    webrtc.end()
    assert rms_dbfs(np.concatenate(heard[50:])) == pytest.approx(rms_dbfs(np.concatenate(said[50:])), abs=6)


def test_outside_a_call_it_does_nothing(webrtc: EchoControl) -> None:
    block = speech()[20]
    webrtc.end()
    webrtc.played(block, delay_s=0.0)
    assert webrtc.captured(block, delay_s=0.0) is block


def test_both_threads_may_use_it_at_once(webrtc: EchoControl) -> None:
    webrtc.begin()
    said = speech()
    playing = threading.Thread(target=lambda: [webrtc.played(block, delay_s=0.06) for block in said])
    playing.start()
    assert all(len(webrtc.captured(block, delay_s=BLOCK_S)) == BLOCK_SAMPLES for block in said)
    playing.join()
    webrtc.end()


def test_what_it_cannot_process_goes_through_and_is_logged_once(
    webrtc: EchoControl, caplog: pytest.LogCaptureFixture
) -> None:
    webrtc.begin()
    odd = np.ones(100, np.int16)
    with caplog.at_level(logging.WARNING, "kiosk.media.echo"):
        assert webrtc.captured(odd, delay_s=0.0) is odd
        assert webrtc.captured(odd, delay_s=0.0) is odd
    webrtc.end()
    assert len(caplog.records) == 1


def test_without_the_package_calls_go_on_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = importlib.import_module

    def missing(name: str) -> object:
        if name.startswith("livekit"):
            raise ImportError("No module named 'livekit'")
        return real(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    assert isinstance(choose_echo_control("auto"), NoEchoControl)
    assert "the Python package livekit" in caplog.text


def test_a_handset_needs_none() -> None:
    control = choose_echo_control("none")
    heard, left = echoed(control)
    assert heard == left
