"""The one schema of everything that can be configured: load, validate, save atomically.

One TOML file. Vendor defaults are the defaults of these structs (read-only, in the package); the facility's file
overrides them. An error names the file, the key, the value and what is allowed, and changes nothing. Secrets
are not settings: they live in their own files of mode 0600 (:mod:`kiosk.files`).
"""

from __future__ import annotations

import ipaddress
import logging
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomli_w
from msgspec import Meta

from kiosk.allowed import allowed, shown
from kiosk.errors import SettingsError, explain
from kiosk.files import read_secret, write_atomically, write_secret
from kiosk.usersig import USER_ID_PATTERN

__all__ = ["Settings", "load", "loads", "read_secret", "save", "write_secret"]

log = logging.getLogger(__name__)

UserId = Annotated[str, Meta(pattern=USER_ID_PATTERN, description="1 to 32 of A-Z a-z 0-9 _ - in quotes")]
Name = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)", description="1 to 64 of A-Z a-z 0-9 _ - in quotes")
]
Label = Annotated[str, Meta(max_length=64)]
Gpio = Annotated[int, Meta(ge=0, le=27)]
OptionalGpio = Gpio | Literal["none"]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Folder = Annotated[str, Meta(pattern=r"^[^\x00]+$", description="the name of a folder, in quotes")]
Waiting = Annotated[float, Meta(gt=0, le=86_400)]
EchoChoice = Literal["auto", "none"]
PerCent = Annotated[int, Meta(ge=0, le=100)]
Night = Annotated[
    str,
    Meta(
        pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]|none)$(?!\n)",
        description='"21:00-07:00" or "none"',
    ),
]
_PORT = "(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4}))?"
DeskUrl = Annotated[
    str,
    Meta(
        pattern=rf"^wss?://([^\s/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\]){_PORT}/ws$(?!\n)",
        description='"wss://HOST/ws" or "wss://HOST:PORT/ws"; "ws://…" to this same machine only',
    ),
]
IceServer = Annotated[
    str,
    Meta(
        pattern=rf"^(stun:[^\s?:@]+{_PORT}|turns?:[^\s?:@]+{_PORT}(\?transport=(udp|tcp))?)$(?!\n)",
        description='"stun:HOST:PORT", "turn:HOST:PORT" or "turns:HOST:PORT"',
    ),
]
"""What aiortc understands; anything else would only fail when a patient calls."""

MAX_FILE_BYTES = 1024 * 1024
PREVIOUS_SUFFIX = ".previous"


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: frozen, keyword-only, unknown keys refused."""


class Bed(_Section, frozen=True, kw_only=True):
    """The place this kiosk serves. Never a patient's name."""

    group: Name = "ward"
    """Which seats may be allocated: those that serve this group."""
    ward: Label = ""
    room: Label = ""
    bed: Label = ""
    language: Literal["zh", "en"] = "zh"
    priority: Literal["normal", "urgent", "emergency"] = "normal"
    """Priority of a first press."""


class Signaling(_Section, frozen=True, kw_only=True):
    """Where the desk is and who we are."""

    url: DeskUrl = "ws://localhost:8080/ws"
    """``wss://`` anywhere; plain ``ws://`` is accepted for this same machine only."""
    ca_file: str = ""
    """PEM of the hospital's (or the desk's own) certificate authority; empty = the system's."""
    sdk_app_id: Annotated[int, Meta(ge=1, le=2**32 - 1)] = 1400000000
    user_id: UserId = "bed-1"
    user_sig_file: str = "user_sig"
    """File with this kiosk's UserSig, mode 0600; relative to the settings file."""


class Call(_Section, frozen=True, kw_only=True):
    """What a press asks for."""

    type: Literal["audio", "video"] = "video"
    seat: UserId | None = None
    """A named seat, or nothing for any free seat of the bed's group."""
    urgent_after_presses: Annotated[int, Meta(ge=0, le=100)] = 3
    """A request pressed this often becomes urgent; 0 = never."""
    answer: Literal["patient", "auto"] = "patient"
    """Who answers when a seat calls this bed: the patient by a press, or, after light and ring, the bed itself."""
    answer_after: Annotated[float, Meta(ge=3, le=60)] = 6.0
    """``auto``: seconds that it rings before it answers."""


class Buttons(_Section, frozen=True, kw_only=True):
    """Push buttons to ground, with the Pi's pull-up. GPIO numbers, not header pins."""

    call_pin: Gpio = 17
    call_wiring: Literal["normally_open", "normally_closed"] = "normally_open"
    """``normally_closed``: the line is closed at rest and a press opens it, so that a pulled cord or a broken wire
    calls for help, and is told as a fault after 30 s."""
    bathroom_pin: OptionalGpio = "none"
    """The bathroom's cord or button: urgent, closed by attendance only."""
    bathroom_wiring: Literal["normally_open", "normally_closed"] = "normally_open"
    staff_pin: OptionalGpio = "none"
    """Staff at the bed need help: an emergency, closed by attendance only."""
    cancel_pin: OptionalGpio = 27
    cancel_hold: Annotated[float, Meta(ge=0, le=10)] = 1.0
    """Seconds the cancel button is held to cancel a request; 0 = a press is enough."""
    attend_pin: OptionalGpio = 22
    """Pressed by staff at the bed: closes the request as attended."""
    bounce: Annotated[float, Meta(ge=0.005, le=0.2)] = 0.04
    """Seconds within which edges after a change are bounce."""
    simulated: bool = False
    """gpiozero's mock pins instead of the Pi's."""


class Lamp(_Section, frozen=True, kw_only=True):
    """The reassurance lamp."""

    pin: Gpio = 18


class Relay(_Section, frozen=True, kw_only=True):
    """The output towards the certified nurse call: it calls there while nobody can be reached here."""

    pin: OptionalGpio = "none"
    active_high: bool = True
    """Whether the relay's driver closes it when the pin is high."""


class Audio(_Section, frozen=True, kw_only=True):
    """ALSA devices. ``auto`` tries ALSA's default and goes on without when there is none."""

    microphone: str = "auto"
    """ALSA capture device, ``auto``, ``none``, ``sample`` (a spoken sample), ``tone:440`` (Hz) or ``room``
    (hears the simulated speaker)."""
    speaker: str = "auto"
    """ALSA playback device, ``auto``, ``none`` or ``simulated``."""
    echo: EchoChoice = "auto"
    """Echo cancellation, noise suppression and gain control by us; ``none`` for a handset, or a speakerphone that
    does it itself."""
    volume: PerCent = 100
    """The loudspeaker's, for voices, ring and prompts, on top of ALSA's own; 0 is the quietest still heard."""
    night_volume: PerCent = 60
    night: Night = "21:00-07:00"
    """When the night volume holds, local time; ``none``: never."""


class Video(_Section, frozen=True, kw_only=True):
    """The camera."""

    camera: str = "auto"
    """``auto``, ``picamera2``, a V4L2 device such as ``/dev/video0``, ``test`` (moving picture), ``test-h264`` (the
    same through a simulated Raspberry Pi with its H.264 encoder) or ``none``."""
    width: Annotated[int, Meta(ge=160, le=1920, multiple_of=16)] = 640
    height: Annotated[int, Meta(ge=90, le=1088, multiple_of=2)] = 360
    fps: Annotated[int, Meta(ge=5, le=60)] = 30
    rotation: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise that the picture is turned by, for a camera that hangs on its side or upside down."""


class Media(_Section, frozen=True, kw_only=True):
    """How media travel."""

    ice_servers: tuple[IceServer, ...] = ()
    """Explicit: a public STUN server that does not answer costs seconds. Empty = what the desk names. TURN servers
    named here get the desk's credentials."""
    relay_only: bool = False
    """Whether media go through a TURN server only, never directly."""
    interfaces: tuple[str, ...] = ()
    """Addresses to offer, e.g. ``["10.1.2.3"]``; empty = all but loopback, loopback if there is no other."""


class State(_Section, frozen=True, kw_only=True):
    """What must survive a power cut."""

    folder: Folder = "state"
    """Folder of the bed's journal; relative to the settings file. On a disk that is kept, never in ``/tmp``; with a
    read-only system, on its writable partition."""


class Control(_Section, frozen=True, kw_only=True):
    """Where ``kiosk run`` tells how it is, and is asked for a self-test."""

    socket: Annotated[str, Meta(pattern=r"^[^\x00]*$", description="the name of a Unix socket, in quotes")] = ""
    """Unix socket; relative to the settings file. Empty = ``control`` in the ``state.folder``, for root and the
    kiosk's own user."""
    group: Name = "none"
    """Members of this group, of which the kiosk's own user must be one, may speak there too; ``none``: nobody."""


class Seat(_Section, frozen=True, kw_only=True):
    """One staff workplace known to the desk."""

    user_id: UserId
    name: Label = ""
    groups: tuple[Name, ...] = ("ward",)


class Desk(_Section, frozen=True, kw_only=True):
    """The desk."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """0 = any free port."""
    tls: Literal["auto", "on", "off"] = "auto"
    """``auto``: https unless only this machine can reach the desk; ``off`` is refused for other hosts."""
    certificate: str = ""
    """PEM of the operator's certificate chain; empty = one made at first start. Relative to the settings file."""
    private_key: str = ""
    data: str = "desk-data"
    """Folder for the SecretKey, the certificate and the seats' sign-in secrets; relative to the settings file."""
    sdk_app_id: Annotated[int, Meta(ge=1, le=2**32 - 1)] = 1400000000
    ring_timeout: Annotated[float, Meta(gt=0, le=600)] = 30.0
    """Seconds a seat rings before the next one does (TUICalling: 30)."""
    wrap_up: Seconds = 5.0
    """Seconds after a call before the seat is free again; 0 = at once."""
    next_round: Annotated[float, Meta(gt=0, le=600)] = 10.0
    """Seconds before seats that all declined are asked again."""
    on_all_busy: Literal["queue", "retry_later"] = "queue"
    close_from_seat: bool = False
    """Whether a seat may close a request after speech has really flowed both ways."""
    overdue: Waiting = 180.0
    """Seconds without an answer after which a request sounds at all seats of its group, and any may take it."""
    realert: Annotated[float, Meta(ge=5, le=86_400)] = 180.0
    """Seconds after which an overdue request sounds again."""
    backup_after: Waiting = 420.0
    """Seconds without an answer after which the backup group's seats see the request and may be allocated."""
    local_alarm_after: Waiting = 600.0
    """Seconds without an answer after which the bed is told to give its own alarm."""
    backup_groups: dict[Name, Name] = {}
    """Which group helps which: ``{ "ward-3" = "ward-4" }``; a group that is not named has no backup."""
    history_days: Annotated[int, Meta(ge=1, le=36_500)] = 365
    """How long the requests' timelines and the audit log are kept."""
    seats: tuple[Seat, ...] = ()
    ice_servers: tuple[IceServer, ...] = ()
    """For seats, and for beds whose own ``media.ice_servers`` are empty. Name each way to a TURN
    server: UDP, TCP, TLS."""
    turn_secret_file: str = ""
    """File with the TURN server's ``static-auth-secret``, mode 0600; relative to the settings file."""
    turn_lifetime: Annotated[float, Meta(ge=600, le=604_800)] = 43_200.0
    """Seconds a TURN credential lives; it is renewed after half of them."""


class Settings(_Section, frozen=True, kw_only=True):
    """Everything."""

    bed: Bed = Bed()
    signaling: Signaling = Signaling()
    call: Call = Call()
    buttons: Buttons = Buttons()
    lamp: Lamp = Lamp()
    relay: Relay = Relay()
    audio: Audio = Audio()
    video: Video = Video()
    media: Media = Media()
    state: State = State()
    control: Control = Control()
    desk: Desk = Desk()


def loads(text: str, *, where: str = "settings") -> Settings:
    """Parse and check TOML *text*; *where* names it in errors. Raises :exc:`SettingsError`."""
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise SettingsError(f"{where}: not valid TOML: nested too deep") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where}: not valid TOML: {error}") from None
    except ValueError:  # int() refuses to read thousands of digits
        raise SettingsError(f"{where}: not valid TOML: a number has too many digits") from None
    return from_mapping(data, where=where)


def from_mapping(data: Mapping[str, Any], *, where: str = "settings") -> Settings:
    """Check *data* (sections of keys) against the schema. Raises :exc:`SettingsError`."""
    try:
        settings = msgspec.convert(data, Settings)
    except msgspec.ValidationError as error:
        what, key = explain(error)
        if "unknown field" in what:  # its value stays untold: it may be a secret in the wrong place
            wrong = f"{key}: there is no such setting; "
        elif "missing" in what:
            wrong = f"{key}: is missing; allowed is "
        else:
            wrong = f"{key}{_value_at(data, key)}: allowed is "
        raise SettingsError(f"{where}: {wrong}{allowed(Settings, key)}") from None
    _check_together(settings, where=where)
    return settings


def load(path: Path) -> Settings:
    """Read the facility's file; a file that does not exist means vendor defaults throughout."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        log.warning("- there is no settings file %s: the vendor's defaults hold", path)
        return Settings()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_FILE_BYTES:
        raise SettingsError(f"{path}: larger than {MAX_FILE_BYTES} bytes: is it a settings file?")
    try:
        text = raw.decode("utf-8-sig")  # some editors put a byte order mark first
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 text, from byte {error.start} on: save it as UTF-8") from None
    return loads(text, where=str(path))


def save(settings: Settings, path: Path) -> None:
    """Write *settings* to *path* so that a power cut leaves the old file or the new one, never less.

    Only what differs from the vendor defaults is written; the previous copy stays beside it. Raises OSError.
    """
    text = tomli_w.dumps(_overrides(settings))
    loads(text, where=str(path))
    if path.exists():
        write_atomically(path.with_name(path.name + PREVIOUS_SUFFIX), path.read_bytes(), mode=0o644)
    write_atomically(path, text.encode(), mode=0o644)


def host_of(url: str) -> str:
    """The host of a desk's *url*, as in ``signaling.url``."""
    return re.sub(r":[0-9]+$", "", url.split("//", 1)[1].removesuffix("/ws"))


def is_loopback_host(host: str) -> bool:
    """Whether only this machine can reach *host*."""
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _check_together(settings: Settings, *, where: str) -> None:
    url = settings.signaling.url
    if url.startswith("ws://") and not is_loopback_host(host_of(url)):
        raise SettingsError(
            f"{where}: signaling.url = {shown(url)}: plain ws:// is allowed to this machine only; use wss://"
        )
    desk = settings.desk
    if desk.tls == "off" and not is_loopback_host(desk.host):
        raise SettingsError(
            f'{where}: desk.tls = "off": allowed only when desk.host is this machine, not {shown(desk.host)}'
        )
    if bool(desk.certificate) != bool(desk.private_key):
        given, missing = ("certificate", "private_key")[:: 1 if desk.certificate else -1]
        raise SettingsError(
            f"{where}: desk.{given} = {shown(getattr(desk, given))}: needs desk.{missing} too; give both or neither"
        )
    for number, server in enumerate(desk.ice_servers):
        if server.startswith("turn") and not desk.turn_secret_file:
            raise SettingsError(
                f"{where}: desk.ice_servers[{number}] = {shown(server)}: needs desk.turn_secret_file,"
                " a file with the TURN server's secret"
            )
    if not desk.overdue <= desk.backup_after <= desk.local_alarm_after:
        raise SettingsError(
            f"{where}: desk.overdue = {desk.overdue:g}, desk.backup_after = {desk.backup_after:g},"
            f" desk.local_alarm_after = {desk.local_alarm_after:g}: none may be earlier than the one before it"
        )
    for group, backup in desk.backup_groups.items():
        if group == backup:
            raise SettingsError(f"{where}: desk.backup_groups.{group} = {shown(backup)}: allowed is another group")
    seats: dict[str, int] = {}
    for number, seat in enumerate(desk.seats):
        first = seats.setdefault(seat.user_id, number)
        if first != number:
            raise SettingsError(
                f"{where}: desk.seats[{number}].user_id = {shown(seat.user_id)}: already used by"
                f" desk.seats[{first}]; each seat has its own"
            )
    pins: dict[int | str, str] = {}
    for key, pin in (
        ("buttons.call_pin", settings.buttons.call_pin),
        ("buttons.bathroom_pin", settings.buttons.bathroom_pin),
        ("buttons.staff_pin", settings.buttons.staff_pin),
        ("buttons.cancel_pin", settings.buttons.cancel_pin),
        ("buttons.attend_pin", settings.buttons.attend_pin),
        ("lamp.pin", settings.lamp.pin),
        ("relay.pin", settings.relay.pin),
    ):
        if pin != "none" and pins.setdefault(pin, key) != key:
            raise SettingsError(f"{where}: {key} = {pin}: already used by {pins[pin]}; each has its own pin")


def _value_at(data: object, key: str) -> str:
    value: Any = data
    for part in key.replace("[", ".").replace("]", "").split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return "" if isinstance(value, dict) else f" = {shown(value)}"


def _overrides(settings: Settings) -> dict[str, dict[str, Any]]:
    defaults = msgspec.to_builtins(Settings())
    chosen: dict[str, dict[str, Any]] = {}
    for section, values in msgspec.to_builtins(settings).items():
        changed = {key: value for key, value in values.items() if value != defaults[section][key]}
        if changed:
            chosen[section] = changed
    return chosen
