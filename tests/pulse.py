"""A sound card made of PulseAudio null sinks, for tests that want real ALSA and a real pace.

:class:`PulseRig` starts one server of its own in a folder of the test. What a kiosk plays into ALSA's ``kiosk_spk``
can be recorded; what is played into the rig is heard on ALSA's ``kiosk_mic``. The two are independent, and together
they are also ALSA's default. ``norewinds=1`` matters: without it the first write stalls for 1.5 s.

A child process is given :attr:`PulseRig.env`. The test's own process uses :meth:`PulseRig.here`: alsa-lib reads its
configuration again when ``ALSA_CONFIG_PATH`` has changed.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from pathlib import Path
from types import TracebackType

import numpy as np
import pytest
from numpy.typing import NDArray

from kiosk.hardware.sound import SAMPLE_RATE

START_TIMEOUT_S = 20.0
COMMAND_TIMEOUT_S = 60.0
STARTED = "Daemon startup complete"
RAW = ["--raw", "--format=s16le", f"--rate={SAMPLE_RATE}", "--channels=1", "--latency-msec=20"]

ASOUND_CONF = """
</usr/share/alsa/alsa.conf>
pcm.kiosk_spk { type pulse device "kiosk_spk" }
pcm.kiosk_mic { type pulse device "kiosk_mic.monitor" }
pcm.!default { type asym playback.pcm "kiosk_spk" capture.pcm "kiosk_mic" }
"""


class PulseRig:
    """A running sound server; as a context manager from start to end. Ends only the processes it started."""

    speaker = "kiosk_spk"
    """ALSA name to set as ``audio.speaker``."""
    microphone = "kiosk_mic"
    """ALSA name to set as ``audio.microphone``."""

    def __init__(self, folder: Path, *, asound_conf: str = "") -> None:
        """*folder* takes socket and configuration and must have a short path (a socket's is at most 107 bytes);
        *asound_conf* is added to the ALSA configuration."""
        folder.mkdir(parents=True, exist_ok=True)
        self._socket = folder / "native"
        config = folder / "asound.conf"
        config.write_text(ASOUND_CONF + asound_conf)
        self.env = {
            "ALSA_CONFIG_PATH": str(config),
            "PULSE_COOKIE": str(folder / "cookie"),
            "PULSE_STATE_PATH": str(folder),
            "PULSE_SERVER": f"unix:{self._socket}",
            "XDG_RUNTIME_DIR": str(folder),
        }
        """To be merged into the environment of whoever uses this sound card."""
        self._log: deque[str] = deque(maxlen=50)
        self._server: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> PulseRig:
        if len(str(self._socket)) > 107:
            raise ValueError(f"{self._socket}: too long for the path of a socket; give another folder")
        started: queue.Queue[bool] = queue.Queue()
        self._server = subprocess.Popen(
            [
                "pulseaudio",
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--use-pid-file=no",
                "--log-target=stderr",
                "--log-level=info",
                f"--load=module-native-protocol-unix socket={self._socket} auth-anonymous=1",
                f"--load=module-null-sink sink_name=kiosk_spk rate={SAMPLE_RATE} channels=1 norewinds=1",
                f"--load=module-null-sink sink_name=kiosk_mic rate={SAMPLE_RATE} channels=1 norewinds=1",
            ],
            env=os.environ | self.env,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_log, args=(self._server, started), name="pulseaudio log")
        self._reader.start()
        try:
            assert started.get(timeout=START_TIMEOUT_S), "pulseaudio ended at once:\n" + "".join(self._log)
            self._run("pactl", "info")
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this process use the sound card until *monkeypatch* is undone."""
        for name, value in self.env.items():
            monkeypatch.setenv(name, value)

    def record_speaker(self, seconds: float) -> NDArray[np.int16]:
        """What the kiosk plays during the next *seconds*. Blocks for as long."""
        size = round(seconds * SAMPLE_RATE) * 2
        with subprocess.Popen(
            ["parec", "--device=kiosk_spk.monitor", *RAW], env=os.environ | self.env, stdout=subprocess.PIPE
        ) as recorder:
            assert recorder.stdout is not None
            limit = threading.Timer(seconds + COMMAND_TIMEOUT_S, recorder.kill)
            limit.start()
            sound = recorder.stdout.read(size)
            limit.cancel()
            limit.join()
            recorder.kill()
        assert len(sound) == size, f"recorded {len(sound)} of {size} bytes"
        return np.frombuffer(sound, np.int16)

    def play_into_microphone(self, samples: NDArray[np.int16]) -> None:
        """Let the kiosk's microphone hear *samples* (mono, 48 kHz). Blocks until they have been played."""
        self._run("pacat", "--playback", "--device=kiosk_mic", *RAW, given=samples.astype(np.int16).tobytes())

    def let_microphone_hear_speaker(self) -> None:
        """From now on the microphone hears the speaker, some 50 ms later and as loud, as in a small room."""
        self._run(
            "pactl",
            "load-module",
            "module-loopback",
            "source=kiosk_spk.monitor",
            "sink=kiosk_mic",
            "latency_msec=30",
            "remix=no",
        )

    def streams_of(self, pid: int) -> list[str]:
        """What *pid* has open at the sound server: ``sink-inputs`` it plays, ``source-outputs`` it records."""
        held: list[str] = []
        for kind in ("sink-inputs", "source-outputs"):
            listed = subprocess.run(
                ["pactl", "--format=json", "list", kind],
                env=os.environ | self.env,
                capture_output=True,
                check=True,
                timeout=COMMAND_TIMEOUT_S,
            )
            streams = json.loads(listed.stdout)
            held += [kind for stream in streams if stream["properties"].get("application.process.id") == str(pid)]
        return held

    def pause(self) -> None:
        """Let the server hang, as a device whose driver does."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End :meth:`pause`."""
        assert self._server is not None
        self._server.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Pull the plug. May be called twice."""
        server, self._server = self._server, None
        if server is not None:
            server.kill()
            server.wait(COMMAND_TIMEOUT_S)
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.join(COMMAND_TIMEOUT_S)

    def _read_log(self, server: subprocess.Popen[str], started: queue.Queue[bool]) -> None:
        assert server.stderr is not None
        with server.stderr as lines:
            for line in lines:
                self._log.append(line)
                if STARTED in line:
                    started.put(True)
        started.put(False)

    def _run(self, *command: str, given: bytes | None = None) -> None:
        subprocess.run(
            command,
            env=os.environ | self.env,
            input=given,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=COMMAND_TIMEOUT_S,
        )
