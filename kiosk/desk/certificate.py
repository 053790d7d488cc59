"""A certificate for a desk whose operator has none yet: self-signed, made once, kept in the data folder.

Browsers warn about it until its authority is installed; kiosks trust it by ``signaling.ca_file``. An operator's own
certificate (``desk.certificate``, ``desk.private_key``) is always better.
"""

from __future__ import annotations

import datetime
import ipaddress
import logging
import socket
import ssl
from pathlib import Path
from typing import NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kiosk.errors import SettingsError
from kiosk.files import write_atomically, write_secret

log = logging.getLogger(__name__)

WARN_DAYS = 30
"""Before a certificate ends, each start of the desk says so: after it no kiosk connects."""
LIFE_DAYS = 825
"""The longest life that current browsers accept for an installed authority's certificate."""
CLOCK_SKEW = datetime.timedelta(days=1)


def ensure_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """The paths of certificate and key (PEM) in *folder*, made for *host* if they are not there yet."""
    certificate, key = folder / "certificate.pem", folder / "private_key.pem"
    if not (certificate.exists() and key.exists()):
        _make(certificate, key, host)
    return certificate, key


def check_pair(certificate: Path, key: Path) -> None:
    """Raise :exc:`SettingsError` where a server could not use the two; warn where clients soon will not."""
    for setting, path in (("certificate", certificate), ("private_key", key)):
        if not path.is_file():
            raise SettingsError(f"desk.{setting} = {str(path)!r}: there is no such file")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_refuse_to_ask)
        ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        what = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise SettingsError(
            f"desk.certificate = {str(certificate)!r} with desk.private_key = {str(key)!r}: cannot be used: {what};"
            " allowed are a PEM certificate and its own PEM key without a passphrase"
        ) from None
    left = ends - datetime.datetime.now(datetime.UTC)
    if left < datetime.timedelta(days=WARN_DAYS):
        log.warning("x %s ends on %s: no kiosk connects after that; put a new one there", certificate, ends.date())


def _refuse_to_ask() -> NoReturn:
    # Without this, OpenSSL asks on the terminal of a service that has none.
    raise ValueError("the key has a passphrase")


def _make(certificate: Path, key: Path, host: str) -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Bedside desk on {socket.gethostname()}"[:64])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + datetime.timedelta(days=LIFE_DAYS))
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private_key.public_key()), critical=False)
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private_key, hashes.SHA256())
    )
    pem = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        write_secret(key, pem.decode())
        write_atomically(certificate, made.public_bytes(serialization.Encoding.PEM), mode=0o644)
    except OSError as error:
        raise SettingsError(f"{error.filename}: cannot be written: {error.strerror}; check desk.data") from None


def _names(host: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    machine = socket.gethostname()
    if machine != "localhost":
        names.append(x509.DNSName(machine))
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host not in ("localhost", machine):
            names.append(x509.DNSName(host))
    else:
        if not address.is_unspecified and not address.is_loopback:
            names.append(x509.IPAddress(address))
    return names


_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
"""Server and its own authority in one; RFC 5280 (4.2.1.2, 4.2.1.3) wants an authority to say so and have an id."""
