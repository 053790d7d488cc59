"""Who may sign in: passphrases, one-time codes, and the files they lie in."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from kiosk import settings, usersig
from kiosk.desk import registry as registry_module
from kiosk.desk.registry import (
    CODE_LIFE_S,
    FREE_FAILURES,
    KIOSK_TTL_S,
    MAX_CODES,
    MAX_DELAY_S,
    SEAT_TTL_S,
    Registry,
)
from kiosk.errors import CredentialError, SettingsError
from kiosk.settings import read_secret, write_secret

NOW = 1_800_000_000
PASSPHRASE = "correct horse battery"
DESK = settings.Desk(
    seats=(settings.Seat(user_id="nurse-1", name="Nurse Lin"), settings.Seat(user_id="nurse-2")),
)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(DESK, tmp_path)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing that costs little, where a test counts tries."""
    monkeypatch.setattr(registry_module, "_SCRYPT", {"n": 2, "r": 1, "p": 1})


def refused(registry: Registry, passphrase: str, *, now: float, user: str = "nurse-1", address: str = "a") -> str:
    with pytest.raises(CredentialError) as caught:
        registry.check_passphrase(user, passphrase, now=now, address=address)
    return caught.value.code


def refused_code(registry: Registry, code: str, *, now: int = NOW) -> str:
    with pytest.raises(CredentialError) as caught:
        registry.use_code(code, now=now)
    return caught.value.code


def test_a_ticket_lives_as_long_as_its_users_kind_needs(registry: Registry) -> None:
    for user_id, ttl_s in (("nurse-1", SEAT_TTL_S), ("bed-1", KIOSK_TTL_S)):
        claims = registry.verify(user_id, DESK.sdk_app_id, registry.issue(user_id, now=NOW), now=NOW)
        assert claims.expires_at == NOW + ttl_s


def test_a_ticket_asked_to_live_no_time_does_not_live_half_a_year(registry: Registry) -> None:
    ticket = registry.issue("bed-1", now=NOW, ttl_s=0)
    with pytest.raises(CredentialError, match="expired"):
        registry.verify("bed-1", DESK.sdk_app_id, ticket, now=NOW)


def test_the_secret_key_is_in_no_repr(registry: Registry, tmp_path: Path) -> None:
    assert read_secret(tmp_path / "secret_key") not in repr(registry)


def test_the_key_of_another_desk_signs_nothing_here(registry: Registry, tmp_path: Path) -> None:
    other = Registry(DESK, tmp_path / "other")
    with pytest.raises(CredentialError) as caught:
        registry.verify("bed-1", DESK.sdk_app_id, other.issue("bed-1", now=NOW), now=NOW)
    assert caught.value.code == "sig_foreign"


def test_two_first_starts_at_once_agree_on_one_key(tmp_path: Path) -> None:
    made: list[str] = []
    begin = threading.Barrier(8)

    def starts() -> None:
        begin.wait()
        made.append(Registry(DESK, tmp_path).issue("bed-1", now=NOW))

    threads = [threading.Thread(target=starts) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    key = read_secret(tmp_path / "secret_key")
    for ticket in made:
        usersig.verify(ticket, user_id="bed-1", sdk_app_id=DESK.sdk_app_id, secret_key=key, now=NOW)
    assert len(made) == 8


# -- passphrases


def test_the_right_passphrase_opens_its_seat_and_no_other(registry: Registry) -> None:
    registry.set_passphrase("nurse-1", PASSPHRASE)
    assert registry.check_passphrase("nurse-1", PASSPHRASE, now=0.0).name == "Nurse Lin"
    assert refused(registry, PASSPHRASE, now=0.0, user="nurse-2") == "not_allowed"
    assert refused(registry, PASSPHRASE + " ", now=0.0) == "not_allowed"


def test_a_seat_without_a_passphrase_is_opened_by_none(registry: Registry) -> None:
    for passphrase in ("", "x", PASSPHRASE):
        assert refused(registry, passphrase, now=0.0) == "not_allowed"


def test_a_passphrase_is_the_same_however_its_letters_are_composed(registry: Registry) -> None:
    registry.set_passphrase("nurse-1", "schl\u00fcssel im schrank")
    assert registry.check_passphrase("nurse-1", "schlu\u0308ssel im schrank", now=0.0)


def test_a_newer_passphrase_replaces_the_older(registry: Registry) -> None:
    registry.set_passphrase("nurse-1", PASSPHRASE)
    registry.set_passphrase("nurse-1", "a completely new one")
    assert refused(registry, PASSPHRASE, now=0.0) == "not_allowed"
    assert registry.check_passphrase("nurse-1", "a completely new one", now=0.0)


def test_a_seat_that_was_removed_from_the_settings_cannot_sign_in(registry: Registry, tmp_path: Path) -> None:
    registry.set_passphrase("nurse-1", PASSPHRASE)
    code = registry.make_code("nurse-1", now=NOW)
    without = Registry(settings.Desk(), tmp_path)
    assert refused(without, PASSPHRASE, now=0.0) == "not_allowed"
    assert refused_code(without, code) == "not_allowed"


def test_delays_double_up_to_a_limit(registry: Registry, cheap: None) -> None:
    for _ in range(FREE_FAILURES - 1):
        refused(registry, "wrong", now=0.0)
    now, waits = 0.0, []
    for _ in range(11):
        assert refused(registry, "wrong", now=now) == "not_allowed"
        with pytest.raises(CredentialError, match=r"try again in \d+ s") as told:
            registry.check_passphrase("nurse-1", "wrong", now=now, address="a")
        waits.append(int(str(told.value).split()[-2]))
        now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, MAX_DELAY_S, MAX_DELAY_S]


def test_the_right_passphrase_must_wait_like_any_other(registry: Registry, cheap: None) -> None:
    registry.set_passphrase("nurse-1", PASSPHRASE)
    for _ in range(FREE_FAILURES):
        refused(registry, "wrong", now=0.0)
    assert refused(registry, PASSPHRASE, now=0.9) == "too_many"
    assert registry.check_passphrase("nurse-1", PASSPHRASE, now=1.0, address="a")


def test_a_success_forgets_the_failures_before_it(registry: Registry, cheap: None) -> None:
    registry.set_passphrase("nurse-1", PASSPHRASE)
    for _ in range(3):
        for _ in range(FREE_FAILURES - 1):
            assert refused(registry, "wrong", now=0.0) == "not_allowed"
        registry.check_passphrase("nurse-1", PASSPHRASE, now=0.0, address="a")


def test_who_guesses_at_one_workplace_does_not_lock_the_nurse_out_at_another(
    registry: Registry, cheap: None
) -> None:
    registry.set_passphrase("nurse-1", PASSPHRASE)
    for _ in range(FREE_FAILURES):
        refused(registry, "wrong", now=0.0, address="10.0.0.66")
    assert refused(registry, PASSPHRASE, now=0.0, address="10.0.0.66") == "too_many"
    assert registry.check_passphrase("nurse-1", PASSPHRASE, now=0.0, address="10.0.0.1")


def test_what_is_remembered_of_failures_is_bounded_and_the_latest_is_kept(
    registry: Registry, cheap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "MAX_REMEMBERED_FAILURES", 10)
    for number in range(FREE_FAILURES):
        refused(registry, "wrong", now=0.0)
        for other in range(8):
            refused(registry, "wrong", now=0.0, user=f"nobody-{number}-{other}")
    assert refused(registry, "wrong", now=0.0) == "too_many"


def test_damaged_passphrases_are_named_and_not_replaced(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "passphrases"
    write_secret(path, "{")
    with pytest.raises(SettingsError, match="passphrases: damaged"):
        registry.set_passphrase("nurse-1", PASSPHRASE)
    assert path.read_text() == "{"


# -- codes


def test_a_code_may_be_used_as_often_as_it_says(registry: Registry) -> None:
    code = registry.make_code("nurse-1", now=NOW, uses=3)
    for _ in range(3):
        assert registry.use_code(code, now=NOW).user_id == "nurse-1"
    assert refused_code(registry, code) == "not_allowed"


def test_a_code_ends_with_its_life(registry: Registry) -> None:
    code = registry.make_code("nurse-1", now=NOW)
    other = registry.make_code("nurse-1", now=NOW)
    assert registry.use_code(code, now=NOW + CODE_LIFE_S - 1)
    assert refused_code(registry, other, now=NOW + CODE_LIFE_S) == "not_allowed"


def test_one_code_does_not_touch_the_others(registry: Registry) -> None:
    codes = [registry.make_code(user_id, now=NOW) for user_id in ("nurse-1", "nurse-2", "nurse-1")]
    assert refused_code(registry, "") == "not_allowed"
    assert refused_code(registry, codes[0][:-1]) == "not_allowed"
    assert [registry.use_code(code, now=NOW).user_id for code in codes] == ["nurse-1", "nurse-2", "nurse-1"]


def test_codes_are_bounded_and_the_newest_are_kept(registry: Registry) -> None:
    codes = [registry.make_code("nurse-1", now=NOW) for _ in range(MAX_CODES + 1)]
    assert refused_code(registry, codes[0]) == "not_allowed"
    assert registry.use_code(codes[1], now=NOW)
    assert registry.use_code(codes[-1], now=NOW)


def test_a_code_is_kept_only_as_its_hash(registry: Registry, tmp_path: Path) -> None:
    code = registry.make_code("nurse-1", now=NOW)
    assert code not in (tmp_path / "sign-in-codes").read_text()


def test_of_many_uses_at_once_only_as_many_as_allowed_succeed(registry: Registry, tmp_path: Path) -> None:
    code = registry.make_code("nurse-1", now=NOW, uses=2)
    signed_in: list[str] = []
    begin = threading.Barrier(8)

    def uses(own: Registry) -> None:
        begin.wait()
        try:
            signed_in.append(own.use_code(code, now=NOW).user_id)
        except CredentialError:
            return

    threads = [threading.Thread(target=uses, args=[Registry(DESK, tmp_path)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert signed_in == ["nurse-1", "nurse-1"]


def test_a_command_that_hangs_in_the_files_is_not_waited_for_without_end(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "LOCK_TIMEOUT_S", 0.05)
    with (tmp_path / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SettingsError, match="another 'kiosk desk' command has held it"):
            registry.make_code("nurse-1", now=NOW)
    assert registry.make_code("nurse-1", now=NOW)
