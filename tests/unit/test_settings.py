"""A wrong setting is refused in words a technician can act on, and saving never loses the file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import hypothesis
import msgspec
import msgspec.inspect
import pytest
import tomli_w
from aiortc.rtcicetransport import parse_stun_turn_uri
from hypothesis import given

from kiosk import settings
from kiosk.allowed import allowed, in_words
from kiosk.errors import SettingsError
from kiosk.settings import MAX_FILE_BYTES, Settings, load, loads, save
from tests.settings_strategy import ICE_SERVERS, SETTINGS


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as refused:
        loads(text, where="kiosk.toml")
    return str(refused.value)


# -- loading


def test_without_a_file_the_vendors_defaults_hold_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(tmp_path / "kiosk.toml") == Settings()
    assert str(tmp_path / "kiosk.toml") in caplog.text


def test_an_empty_file_means_the_vendors_defaults(tmp_path: Path) -> None:
    (tmp_path / "kiosk.toml").touch()
    assert load(tmp_path / "kiosk.toml") == Settings()


def test_the_vendors_defaults_are_themselves_allowed() -> None:
    assert loads(tomli_w.dumps(without_nothing(msgspec.to_builtins(Settings())))) == Settings()


def without_nothing(value: Any) -> Any:
    """TOML has no null: what is not set is left out."""
    if isinstance(value, dict):
        return {key: without_nothing(part) for key, part in value.items() if part is not None}
    return value


def test_the_file_overrides_only_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.toml"
    path.write_text('[bed]\nroom = "三〇一"\n[desk]\nwrap_up = 7\n')
    assert load(path) == Settings(bed=settings.Bed(room="三〇一"), desk=settings.Desk(wrap_up=7.0))


def test_a_file_saved_by_an_editor_that_marks_utf8_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.toml"
    path.write_bytes(b'\xef\xbb\xbf[bed]\r\nroom = "301"\r\n')
    assert load(path).bed.room == "301"


# -- a wrong value: file, key, value and what is allowed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bed.ward = 7", "bed.ward = 7: allowed is text in quotes of at most 64 characters"),
        ('bed.group = "ward 3"', 'bed.group = "ward 3": allowed is 1 to 64 of A-Z a-z 0-9 _ - in quotes'),
        ('bed.language = "fr"', 'bed.language = "fr": allowed is "en" or "zh"'),
        ("bed = 3", "bed = 3: allowed is a table of group, ward, room, bed, language, priority"),
        ("buttons.call_pin = 28", "buttons.call_pin = 28: allowed is a whole number from 0 to 27"),
        ("buttons.call_pin = -1", "buttons.call_pin = -1: allowed is a whole number from 0 to 27"),
        ('buttons.call_pin = "17"', 'buttons.call_pin = "17": allowed is a whole number from 0 to 27'),
        ("buttons.cancel_pin = 1.5", 'buttons.cancel_pin = 1.5: allowed is a whole number from 0 to 27 or "none"'),
        ("buttons.bounce = nan", "buttons.bounce = NaN: allowed is a number from 0.005 to 0.2"),
        ("buttons.simulated = 1", "buttons.simulated = 1: allowed is true or false"),
        ("video.width = 641", "video.width = 641: allowed is a whole number from 160 to 1920, a multiple of 16"),
        ("desk.ring_timeout = 0", "desk.ring_timeout = 0: allowed is a number above 0 to 600"),
        ("desk.ring_timeout = inf", "desk.ring_timeout = Infinity: allowed is a number above 0 to 600"),
        ("desk.port = 70000", "desk.port = 70000: allowed is a whole number from 0 to 65535"),
        ("desk.tls = true", 'desk.tls = true: allowed is "auto" or "off" or "on"'),
        ('call.seat = "nurse 1"', 'call.seat = "nurse 1": allowed is 1 to 32 of A-Z a-z 0-9 _ - in quotes'),
        ('media.interfaces = "10.1.2.3"', 'media.interfaces = "10.1.2.3": allowed is a list [ … ], each text'),
        ('media.ice_servers = ["http://x"]', 'media.ice_servers[0] = "http://x": allowed is "stun:HOST:PORT"'),
        ('signaling.url = "http://desk/ws"', 'signaling.url = "http://desk/ws": allowed is "wss://HOST/ws"'),
        ("bed.ward = 2026-01-01", 'bed.ward = "2026-01-01": allowed is text in quotes'),
        ("bed.ward = { a = 1 }", "bed.ward: allowed is text in quotes"),
        ('[[desk.seats]]\nname = "Lin"', "desk.seats[0].user_id: is missing; allowed is 1 to 32 of"),
        ('[[desk.seats]]\nuser_id = "a"\ngroups = ["b", 3]', "desk.seats[0].groups[1] = 3: allowed is 1 to 64 of"),
    ],
)
def test_a_wrong_value_is_told_with_file_key_value_and_what_is_allowed(text: str, words: str) -> None:
    assert refusal(text).startswith(f"kiosk.toml: {words}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('bed.colour = "red"', "bed.colour: there is no such setting; bed has group, ward, room, bed, language"),
        ("[colour]\nred = 1", "colour: there is no such setting; the file has bed, signaling, call"),
        ("room = 301", "room: there is no such setting; the file has bed"),
        ('[[desk.seats]]\nuser_id = "a"\nrole = 1', "desk.seats[0].role: there is no such setting; desk.seats has"),
    ],
)
def test_an_unknown_key_or_section_is_told_with_those_there_are(text: str, words: str) -> None:
    assert refusal(text).startswith(f"kiosk.toml: {words}")


def test_a_secret_written_in_the_wrong_place_is_not_repeated() -> None:
    assert "eJyrVgrx" not in refusal('signaling.user_sig = "eJyrVgrx"')


def test_a_very_long_value_is_shown_shortened() -> None:
    assert len(refusal(f'bed.ward = "{"a" * 50_000}"')) < 250


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("\n[bed\n", "line 2, column 5"),
        ('[bed]\nroom = "301', "at end of document"),
        ("[bed]\nroom = 301\nroom = 302\n", "Cannot overwrite a value (at line 3"),
        ("a = " + "[" * 5000 + "]" * 5000, "nested too deep"),
        ("lamp.pin = " + "1" * 5000, "a number has too many digits"),
    ],
)
def test_what_is_not_toml_is_told_with_its_place(text: str, where: str) -> None:
    assert "kiosk.toml: not valid TOML" in refusal(text)
    assert where in refusal(text)


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda path: path.write_bytes(b'bed.room = "\xc4\xe3"'),
            "not UTF-8 text, from byte 12 on: save it as UTF-8",
        ),
        (lambda path: path.write_bytes(b"#" * (MAX_FILE_BYTES + 1)), f"larger than {MAX_FILE_BYTES} bytes"),
        (folder, "cannot be read: Is a directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_by_name(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    path = tmp_path / "kiosk.toml"
    make(path)
    with pytest.raises(SettingsError, match=re.escape(f"{path}: {words}")):
        load(path)


def test_the_largest_allowed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.toml"
    path.write_bytes(b"#" * MAX_FILE_BYTES)
    assert load(path) == Settings()


def kinds(kind: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    yield kind
    if isinstance(kind, msgspec.inspect.StructType):
        for field in kind.fields:
            yield from kinds(field.type)
    elif isinstance(kind, msgspec.inspect.VarTupleType):
        yield from kinds(kind.item_type)
    elif isinstance(kind, msgspec.inspect.UnionType):
        for part in kind.types:
            yield from kinds(part)


def test_what_is_allowed_is_in_words_for_every_setting_and_no_pattern_is_shown() -> None:
    for kind in kinds(msgspec.inspect.type_info(Settings)):
        if not isinstance(kind, msgspec.inspect.NoneType):
            assert not re.search(r"\\|\^|\$", in_words(kind)), kind
        assert not (isinstance(kind, msgspec.inspect.StrType) and kind.pattern), f"{kind} needs a description"


def test_a_limit_on_one_side_only_is_told_alone() -> None:
    kind = msgspec.inspect.type_info(Annotated[int, msgspec.Meta(ge=1)])
    assert in_words(kind) == "a whole number from 1"


def test_what_lies_beyond_a_plain_value_is_told_as_that_value() -> None:
    assert allowed(Settings, "bed.ward.deeper") == allowed(Settings, "bed.ward")


# -- settings that go together


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"])
@pytest.mark.parametrize("port", ["", ":8080"])
def test_plain_ws_is_allowed_to_this_machine(host: str, port: str) -> None:
    assert loads(f'signaling.url = "ws://{host}{port}/ws"').signaling.url == f"ws://{host}{port}/ws"


@pytest.mark.parametrize(
    "host",
    ["desk", "10.1.2.3", "127.evil.example", "127.0.0.1.evil.example", "localhost.evil", "[2001:db8::1]", "[:::]"],
)
def test_plain_ws_to_another_host_is_refused(host: str) -> None:
    """The UserSig would cross the hospital's network for everybody to read."""
    assert "to this machine only; use wss://" in refusal(f'signaling.url = "ws://{host}/ws"')
    loads(f'signaling.url = "wss://{host}:65535/ws"')


@pytest.mark.parametrize(
    "rest",
    ["localhost@evil/ws", "localhost:80@evil/ws", "localhost:65536/ws", "localhost:/ws", "localhost/ws?x=1",
     "localhost/ws\\n", "/ws", "localhost/other", "local host/ws"],
)  # fmt: skip
def test_an_address_that_is_not_a_desks_is_refused(rest: str) -> None:
    for scheme in ("ws", "wss"):
        assert "allowed is" in refusal(f'signaling.url = "{scheme}://{rest}"')


def test_a_desk_for_other_hosts_cannot_switch_tls_off() -> None:
    assert 'desk.tls = "off"' in refusal('desk.host = "0.0.0.0"\ndesk.tls = "off"')
    assert 'not "127.evil.example"' in refusal('desk.host = "127.evil.example"\ndesk.tls = "off"')
    loads('desk.host = "::1"\ndesk.tls = "off"')


def test_a_certificate_needs_its_key_and_a_key_its_certificate() -> None:
    assert 'desk.certificate = "a.pem": needs desk.private_key too' in refusal('desk.certificate = "a.pem"')
    assert 'desk.private_key = "a.key": needs desk.certificate too' in refusal('desk.private_key = "a.key"')
    loads('desk.certificate = "a.pem"\ndesk.private_key = "a.key"')


@pytest.mark.parametrize("server", ["turn:10.1.2.3", "turns:desk:443?transport=tcp"])
def test_a_turn_server_of_the_desk_needs_the_secret_it_shares_with_it(server: str) -> None:
    said = refusal(f'desk.ice_servers = ["stun:10.1.2.3", "{server}"]')
    assert f'desk.ice_servers[1] = "{server}": needs desk.turn_secret_file' in said
    loads(f'desk.ice_servers = ["{server}"]\ndesk.turn_secret_file = "turn_secret"')
    loads('desk.ice_servers = ["stun:10.1.2.3"]')


@pytest.mark.parametrize("table", ['"ward-3" = 7', '"ward 3" = "a"', '"ward-3" = "a b"'])
def test_a_backup_group_that_is_no_group_is_refused_with_what_is_allowed(table: str) -> None:
    said = refusal(f"[desk.backup_groups]\n{table}")
    assert "desk.backup_groups: allowed is a table { KEY = VALUE, … }, each key and each value 1 to 64 of" in said


def test_a_group_is_not_its_own_backup() -> None:
    said = refusal('desk.backup_groups = { "ward-3" = "ward-3" }')
    assert 'desk.backup_groups.ward-3 = "ward-3": allowed is another group' in said


def test_the_stages_of_a_request_that_waits_come_in_their_order() -> None:
    said = refusal("desk.overdue = 500")
    assert "desk.overdue = 500, desk.backup_after = 420, desk.local_alarm_after = 600: none may be earlier" in said
    loads("desk.overdue = 420\ndesk.backup_after = 420\ndesk.local_alarm_after = 420")


def test_a_seat_may_be_listed_only_once() -> None:
    seats = "".join(f'[[desk.seats]]\nuser_id = "{user_id}"\n' for user_id in ("a", "b", "a"))
    assert 'desk.seats[2].user_id = "a": already used by desk.seats[0]' in refusal(seats)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lamp.pin = 17", "lamp.pin = 17: already used by buttons.call_pin"),
        ("buttons.attend_pin = 27", "buttons.attend_pin = 27: already used by buttons.cancel_pin"),
        ("relay.pin = 18", "relay.pin = 18: already used by lamp.pin"),
    ],
)
def test_a_pin_may_be_used_only_once(text: str, words: str) -> None:
    assert words in refusal(text)


def test_buttons_that_are_not_there_share_no_pin() -> None:
    loads('buttons.cancel_pin = "none"\nbuttons.attend_pin = "none"')


@given(ICE_SERVERS)
def test_every_ice_server_the_settings_accept_is_one_aiortc_understands(url: str) -> None:
    parse_stun_turn_uri(msgspec.convert(url, settings.IceServer))


# -- saving

OLD, NEW = Settings(lamp=settings.Lamp(pin=5)), Settings(lamp=settings.Lamp(pin=6))


def test_only_what_differs_from_the_defaults_is_written(tmp_path: Path) -> None:
    save(NEW, tmp_path / "kiosk.toml")
    assert (tmp_path / "kiosk.toml").read_text() == "[lamp]\npin = 6\n"
    save(Settings(), tmp_path / "kiosk.toml")
    assert (tmp_path / "kiosk.toml").read_text() == ""


def test_the_previous_copy_stays_beside_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.toml"
    save(OLD, path)
    assert [file.name for file in tmp_path.iterdir()] == ["kiosk.toml"]
    save(NEW, path)
    assert load(path) == NEW
    assert load(tmp_path / "kiosk.toml.previous") == OLD
    assert len(list(tmp_path.iterdir())) == 2


def test_settings_that_would_not_load_again_are_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.toml"
    save(OLD, path)
    for wrong in (Settings(lamp=settings.Lamp(pin=99)), Settings(lamp=settings.Lamp(pin=17))):
        with pytest.raises(SettingsError, match=r"lamp\.pin"):
            save(wrong, path)
    assert load(path) == OLD
    assert len(list(tmp_path.iterdir())) == 1


STEPS = [
    *(("open", nth) for nth in range(4)),  # both temporary files and, after each, the folder
    *(("fchmod", nth) for nth in range(2)),
    *(("fsync", nth) for nth in range(4)),
    *(("replace", nth) for nth in range(2)),
]
AFTER_THE_MOVE = [("open", 3), ("fsync", 3)]
"""The folder is synced when the new file stands in its place already."""


@pytest.mark.parametrize(("step", "nth"), STEPS)
def test_a_crash_at_any_step_leaves_a_whole_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, nth: int
) -> None:
    path = tmp_path / "kiosk.toml"
    save(OLD, path)
    whole, calls = path.read_bytes(), 0
    real = getattr(os, step)

    def breaks(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth + 1:
            raise OSError(28, "No space left on device")
        return real(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(os, step, breaks)
        with pytest.raises(OSError, match="No space left on device"):
            save(NEW, path)
    assert path.read_bytes() == (b"[lamp]\npin = 6\n" if (step, nth) in AFTER_THE_MOVE else whole)
    assert {file.name for file in tmp_path.iterdir()} <= {"kiosk.toml", "kiosk.toml.previous"}


@hypothesis.settings(deadline=None)  # it waits for the disk
@given(SETTINGS)
def test_what_is_saved_is_what_is_loaded(tmp_path_factory: pytest.TempPathFactory, wanted: Settings) -> None:
    path = tmp_path_factory.mktemp("settings") / "kiosk.toml"
    save(wanted, path)
    assert load(path) == wanted
