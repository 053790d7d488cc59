"""A real TURN server on loopback: Debian's coturn, with credentials that expire, over UDP, TCP and TLS."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import Literal, Self

from kiosk.desk.certificate import ensure_certificate
from kiosk.media.interfaces import LOOPBACK
from kiosk.settings import write_secret
from tests.waiting import HANG_S, LOOK_AGAIN_S

SECRET = "the secret that desk and coturn share"
Way = Literal["udp", "tcp", "tls"]


class TurnServer:
    """coturn, while the context lasts. *folder* holds its settings, its certificate and its log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.port, self._tls_port = free_port(), free_port()
        self.ca_file, key = ensure_certificate(folder, LOOPBACK)
        self._file = folder / "turnserver.conf"
        lines = [
            *("use-auth-secret", f"static-auth-secret={SECRET}", "realm=ward", "fingerprint"),
            *(f"listening-ip={LOOPBACK}", f"relay-ip={LOOPBACK}", "allow-loopback-peers", "no-cli"),
            *(f"listening-port={self.port}", f"tls-listening-port={self._tls_port}"),
            *(f"cert={self.ca_file}", f"pkey={key}", f"pidfile={folder / 'pid'}", f"userdb={folder / 'db'}"),
            "log-file=stdout",
        ]
        write_secret(self._file, "\n".join(lines) + "\n")
        self.secret_file = folder / "turn_secret"
        write_secret(self.secret_file, SECRET)
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, way: Way) -> str:
        """Its address."""
        if way == "tls":
            return f"turns:{LOOPBACK}:{self._tls_port}"
        return f"turn:{LOOPBACK}:{self.port}?transport={way}"

    @property
    def log(self) -> str:
        """All it has said."""
        return (self._folder / "log").read_text(errors="replace")

    def __enter__(self) -> Self:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["turnserver", "-c", str(self._file)], stdout=log, stderr=log, cwd=self._folder
            )
        end = time.monotonic() + HANG_S
        while not (_listens(self.port) and _listens(self._tls_port) and _answers(self.port)):
            assert self._process.poll() is None, self.log
            assert time.monotonic() < end, self.log
            time.sleep(LOOK_AGAIN_S)
        return self

    def __exit__(self, *raised: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(HANG_S)


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return int(found.getsockname()[1])


def _answers(port: int) -> bool:
    """Whether a STUN request by UDP is answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(LOOK_AGAIN_S)
        asking.connect((LOOPBACK, port))
        try:
            asking.send(bytes.fromhex("000100002112a442") + bytes(12))
            return bool(asking.recv(1500))
        except OSError:
            return False


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex((LOOPBACK, port)) == 0
