"""Who may sign in: the SecretKey, the seats' passphrases and the one-time sign-in codes.

The SecretKey is made at first start and never leaves the desk. A passphrase is kept as a salted scrypt hash. A
sign-in code opens the seat page without typing; it expires, counts its uses and is kept only as a hash. All of
it lies in files of mode 0600 in the desk's data folder, which a ``kiosk desk`` command may change while the desk
runs. Functions about passphrases and codes block (scrypt, fsync): call them from a worker thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import math
import secrets
import time
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from kiosk import usersig
from kiosk.errors import CredentialError, SettingsError
from kiosk.settings import Desk, Seat, read_secret, write_secret

SEAT_TTL_S = 24 * 3600
"""The life of a seat's UserSig: a shift and a bit."""
KIOSK_TTL_S = 180 * 24 * 3600
MIN_PASSPHRASE = 12
"""Characters; facts/nurse-call §4 statement 3."""
CODE_LIFE_S = 15 * 60
MAX_CODES = 100
FREE_FAILURES = 5
"""Wrong passphrases for one user from one address before delays begin; each further one doubles the delay. By
address, so that nobody can lock a nurse out of another workplace."""
MAX_DELAY_S = 300.0
MAX_REMEMBERED_FAILURES = 10_000
LOCK_TIMEOUT_S = 5.0
LOOK_AGAIN_S = 0.02

T = TypeVar("T")

_SCRYPT = {"n": 2**14, "r": 8, "p": 1}


class _Passphrase(msgspec.Struct, frozen=True):
    salt: str
    hash: str


class _Code(msgspec.Struct, frozen=True):
    hash: str
    user_id: str
    expires_at: int
    uses: int


class Registry:
    """The desk's knowledge of users. *data* is its folder; *settings* the ``[desk]`` section."""

    def __init__(self, settings: Desk, data: Path) -> None:
        self._settings = settings
        self._data = data
        self._seats: Mapping[str, Seat] = {seat.user_id: seat for seat in settings.seats}
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}
        self._secret_key = self._load_secret_key()

    def __repr__(self) -> str:
        return f"Registry(sdk_app_id={self._settings.sdk_app_id}, seats={sorted(self._seats)}, secret_key=…)"

    def seat(self, user_id: str) -> Seat | None:
        """The seat with this id, or None: then the user is a kiosk."""
        return self._seats.get(user_id)

    def issue(self, user_id: str, *, now: int, ttl_s: int | None = None) -> str:
        """A fresh UserSig. Raises :exc:`CredentialError` for a malformed user id."""
        if ttl_s is None:
            ttl_s = SEAT_TTL_S if user_id in self._seats else KIOSK_TTL_S
        return usersig.sign(
            user_id,
            sdk_app_id=self._settings.sdk_app_id,
            secret_key=self._secret_key,
            issued_at=now,
            ttl_s=ttl_s,
        )

    def verify(self, user_id: str, sdk_app_id: int, user_sig: str, *, now: int) -> usersig.Claims:
        """Check a login. Raises :exc:`CredentialError` with the reason."""
        if sdk_app_id != self._settings.sdk_app_id:
            raise CredentialError(
                "sig_foreign", f"SDKAppID {sdk_app_id} is not this desk's ({self._settings.sdk_app_id})"
            )
        return usersig.verify(
            user_sig, user_id=user_id, sdk_app_id=sdk_app_id, secret_key=self._secret_key, now=now
        )

    # -- passphrases

    def set_passphrase(self, user_id: str, passphrase: str) -> None:
        """Store a seat's passphrase. Raises :exc:`SettingsError` for an unknown seat or a short passphrase."""
        if user_id not in self._seats:
            raise SettingsError(f"seat {user_id!r} is not among desk.seats: {', '.join(self._seats) or 'none'}")
        if len(passphrase) < MIN_PASSPHRASE:
            raise SettingsError(f"the passphrase has {len(passphrase)} characters; at least {MIN_PASSPHRASE}")
        salt = secrets.token_bytes(16)
        with self._alone():
            stored = self._passphrases()
            stored[user_id] = _Passphrase(salt.hex(), _hash(passphrase, salt))
            self._write(self._passphrase_file, msgspec.json.encode(stored).decode())

    def check_passphrase(self, user_id: str, passphrase: str, *, now: float, address: str = "") -> Seat:
        """The seat, if the passphrase is right. Raises :exc:`CredentialError` ``not_allowed`` or ``too_many``.

        *now* is monotonic seconds, *address* where the passphrase was typed. An unknown user costs the same time as
        a wrong passphrase. Call it for one sign-in at a time.
        """
        whose = (user_id, address)
        failures, not_before = self._failures.get(whose, (0, 0.0))
        if now < not_before:
            wait = math.ceil(not_before - now)
            raise CredentialError("too_many", f"too many wrong passphrases: try again in {wait} s")
        stored = self._passphrases().get(user_id, _Passphrase(secrets.token_hex(16), ""))
        right = hmac.compare_digest(_hash(passphrase, bytes.fromhex(stored.salt)), stored.hash)
        seat = self._seats.get(user_id)
        if right and seat is not None:
            self._failures.pop(whose, None)
            return seat
        failures += 1
        delay = 0.0 if failures < FREE_FAILURES else min(MAX_DELAY_S, 2.0 ** (failures - FREE_FAILURES))
        self._failures.pop(whose, None)
        while len(self._failures) >= MAX_REMEMBERED_FAILURES:
            self._failures.pop(next(iter(self._failures)))
        self._failures[whose] = (failures, now + delay)
        raise CredentialError("not_allowed", "user id or passphrase is wrong")

    # -- sign-in codes

    def make_code(self, user_id: str, *, now: int, uses: int = 1, life_s: int = CODE_LIFE_S) -> str:
        """A code that signs *user_id* in without a passphrase, *uses* times within *life_s* seconds."""
        if user_id not in self._seats:
            raise SettingsError(f"seat {user_id!r} is not among desk.seats: {', '.join(self._seats) or 'none'}")
        code = secrets.token_urlsafe(18)
        with self._alone():
            codes = [kept for kept in self._codes() if kept.expires_at > now][-(MAX_CODES - 1) :]
            codes.append(_Code(_hash_code(code), user_id, now + life_s, uses))
            self._write(self._code_file, msgspec.json.encode(codes).decode())
        return code

    def use_code(self, code: str, *, now: int) -> Seat:
        """Exchange a code for its seat. Raises :exc:`CredentialError` ``not_allowed``."""
        wanted = _hash_code(code)
        with self._alone():
            codes = self._codes()
            found = next((kept for kept in codes if hmac.compare_digest(kept.hash, wanted)), None)
            seat = self._seats.get(found.user_id) if found else None
            if found is None or seat is None or found.expires_at <= now:
                raise CredentialError("not_allowed", "the sign-in code is wrong, used up or expired: get a new one")
            codes.remove(found)
            if found.uses > 1:
                codes.append(msgspec.structs.replace(found, uses=found.uses - 1))
            kept = [code for code in codes if code.expires_at > now]
            self._write(self._code_file, msgspec.json.encode(kept).decode())
        return seat

    # -- files

    @property
    def _passphrase_file(self) -> Path:
        return self._data / "passphrases"

    @property
    def _code_file(self) -> Path:
        return self._data / "sign-in-codes"

    def _passphrases(self) -> dict[str, _Passphrase]:
        return _read(self._passphrase_file, dict[str, _Passphrase], {})

    def _codes(self) -> list[_Code]:
        return _read(self._code_file, list[_Code], [])

    def _load_secret_key(self) -> str:
        path = self._data / "secret_key"
        if not path.exists():
            with self._alone():
                if not path.exists():
                    self._write(path, secrets.token_hex(32))
        return read_secret(path)

    @staticmethod
    def _write(path: Path, secret: str) -> None:
        try:
            write_secret(path, secret)
        except OSError as error:
            raise SettingsError(f"{path}: cannot be written: {error.strerror}; check desk.data") from None

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else changes the files meanwhile. Raises :exc:`SettingsError`."""
        path = self._data / ".lock"
        try:
            self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = path.open("w")
        except OSError as error:
            raise SettingsError(f"{path}: cannot be written: {error.strerror}; check desk.data") from None
        with lock:
            end = time.monotonic() + LOCK_TIMEOUT_S
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        words = f"another 'kiosk desk' command has held it for {LOCK_TIMEOUT_S:.0f} s"
                        raise SettingsError(f"{path}: {words}") from None
                    time.sleep(LOOK_AGAIN_S)
            yield


def _read(path: Path, kind: type[T], default: T) -> T:
    if not path.exists():
        return default
    try:
        return msgspec.json.decode(read_secret(path), type=kind)
    except msgspec.MsgspecError as error:
        raise SettingsError(f"{path}: damaged: {error}; remove it and set the passphrases anew") from None


def _hash(passphrase: str, salt: bytes) -> str:
    typed = unicodedata.normalize("NFC", passphrase)  # a terminal and a browser may compose "ü" differently
    return hashlib.scrypt(typed.encode(), salt=salt, dklen=32, **_SCRYPT).hex()


def _hash_code(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
