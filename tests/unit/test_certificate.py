"""The certificate a desk makes for itself, and the operator's pair before it is used."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kiosk.desk import certificate
from kiosk.desk.certificate import check_pair, ensure_certificate
from kiosk.errors import SettingsError

EMPTY_PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names(path: Path) -> list[str]:
    found = read(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns: list[str] = found.get_values_for_type(x509.DNSName)
    return [*dns, *map(str, found.get_values_for_type(x509.IPAddress))]


def test_the_certificate_is_made_once_and_its_key_is_the_owners(tmp_path: Path) -> None:
    made, key = ensure_certificate(tmp_path / "data", "127.0.0.1")
    kept = made.read_bytes(), key.read_bytes()
    assert ensure_certificate(tmp_path / "data", "127.0.0.1") == (made, key)
    assert (made.read_bytes(), key.read_bytes()) == kept
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    check_pair(made, key)


def test_half_a_pair_is_made_anew_as_a_whole(tmp_path: Path) -> None:
    made, key = ensure_certificate(tmp_path, "127.0.0.1")
    made.unlink()
    ensure_certificate(tmp_path, "127.0.0.1")
    check_pair(made, key)


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("127.0.0.1", []),
        ("0.0.0.0", []),  # noqa: S104  (a host to be named, not one to listen at)
        ("localhost", []),
        ("10.20.30.40", ["10.20.30.40"]),
        ("2001:db8::1", ["2001:db8::1"]),
        ("desk.hospital.example", ["desk.hospital.example"]),
    ],
)
def test_it_names_the_machine_and_the_host_it_listens_at(tmp_path: Path, host: str, named: list[str]) -> None:
    made, _ = ensure_certificate(tmp_path, host)
    always = {"localhost", "127.0.0.1", socket.gethostname()}
    assert set(names(made)) == always | set(named)


def test_it_is_an_authority_that_says_what_it_is_for(tmp_path: Path) -> None:
    made, _ = ensure_certificate(tmp_path, "127.0.0.1")
    extensions = read(made).extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (basic.critical, basic.value.ca) == (True, True)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, True)
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file is in the way")
    with pytest.raises(SettingsError, match=r"data.*: cannot be written: .*; check desk\.data"):
        ensure_certificate(tmp_path / "data", "127.0.0.1")


def test_a_key_of_another_certificate_is_refused_in_words(tmp_path: Path) -> None:
    made, _ = ensure_certificate(tmp_path / "one", "127.0.0.1")
    _, other = ensure_certificate(tmp_path / "two", "127.0.0.1")
    with pytest.raises(SettingsError, match=r"desk\.certificate = .*desk\.private_key = .*KEY_VALUES_MISMATCH"):
        check_pair(made, other)


@pytest.mark.parametrize("damage", ["", "not PEM", EMPTY_PEM])
def test_a_damaged_file_is_refused_in_words(tmp_path: Path, damage: str) -> None:
    for broken in (0, 1):
        pair = ensure_certificate(tmp_path / str(broken), "127.0.0.1")
        pair[broken].write_text(damage)
        with pytest.raises(SettingsError, match=r"cannot be used: .*; allowed are a PEM certificate and its own"):
            check_pair(*pair)


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    made, key = ensure_certificate(tmp_path, "127.0.0.1")
    private_key = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"correct horse"),
    )
    key.write_bytes(locked)
    with pytest.raises(SettingsError, match="the key has a passphrase"):
        check_pair(made, key)


@pytest.mark.parametrize(("days", "warned"), [(825, False), (31, False), (29, True), (-1, True)])
def test_a_certificate_that_ends_soon_is_in_the_log(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    days: int,
    warned: bool,
) -> None:
    monkeypatch.setattr(certificate, "LIFE_DAYS", days)
    monkeypatch.setattr(certificate, "CLOCK_SKEW", datetime.timedelta(days=2))
    check_pair(*ensure_certificate(tmp_path, "127.0.0.1"))
    assert ("no kiosk connects after that" in caplog.text) is warned


def test_an_address_is_named_as_an_address(tmp_path: Path) -> None:
    made, _ = ensure_certificate(tmp_path, "10.20.30.40")
    found = read(made).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ipaddress.ip_address("10.20.30.40") in found.get_values_for_type(x509.IPAddress)
