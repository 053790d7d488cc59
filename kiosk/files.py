"""Files that a power cut leaves whole, and secrets that only their owner may read."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from kiosk.errors import SettingsError


def write_atomically(path: Path, content: bytes, *, mode: int) -> None:
    """Temporary file in the same folder, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_secret(path: Path, secret: str) -> None:
    """Keep *secret* in a file only its owner may read (0600)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(path, secret.encode(), mode=0o600)


def read_secret(path: Path) -> str:
    """Read a secret. Raises :exc:`SettingsError` when it is missing, empty or readable by others."""
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{path}: can be read by others; allowed is mode 0600: chmod 600 {path}")
        secret = path.read_text().strip()
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file; it must hold the secret, mode 0600") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not text; it must hold the secret") from None
    if not secret:
        raise SettingsError(f"{path}: is empty; it must hold the secret")
    return secret
