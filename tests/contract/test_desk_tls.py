"""A bed reaches its desk over TLS, or says in words why not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage

from kiosk.desk.certificate import ensure_certificate
from kiosk.errors import SettingsError
from kiosk.signaling import client
from tests.beds import bed_connecting
from tests.desks import RunningDesk, desk_running
from tests.waiting import until

NOT_ACCEPTED = "its certificate is not accepted: self-signed certificate (check signaling.ca_file and the clock)"


@pytest.fixture
async def tls_desk(tmp_path: Path) -> AsyncIterator[RunningDesk]:
    async with desk_running(tmp_path / "desk-data", {"tls": "on"}) as running:
        yield running


async def test_a_bed_that_knows_the_desks_certificate_connects(tls_desk: RunningDesk) -> None:
    assert tls_desk.ws_url.startswith("wss://localhost:")
    async with bed_connecting(tls_desk, ca_file=tls_desk.folder / "certificate.pem") as bed:
        await until(lambda: bed.client.connected)


@pytest.mark.promise("R17")
async def test_a_bed_that_does_not_says_so_and_keeps_trying(
    tls_desk: RunningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FIRST_RETRY_S", 0.01)
    async with bed_connecting(tls_desk) as bed:
        await until(lambda: len(bed.downs) >= 3)
        assert set(bed.downs) == {NOT_ACCEPTED}


async def test_a_bed_whose_ca_file_is_missing_says_so_and_connects_when_it_is_there(
    tls_desk: RunningDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_RETRY_S", 0.05)
    ca_file = tmp_path / "hospital.pem"
    async with bed_connecting(tls_desk, ca_file=ca_file) as bed:
        await until(lambda: len(bed.downs) >= 1)
        assert bed.downs[0].startswith(f"signaling.ca_file = '{ca_file}': cannot be used: ")
        ca_file.write_text("not a certificate")
        tried = len(bed.downs)
        await until(lambda: len(bed.downs) >= tried + 2)
        assert bed.downs[-1].startswith(f"signaling.ca_file = '{ca_file}': cannot be used: ")
        ca_file.write_bytes((tls_desk.folder / "certificate.pem").read_bytes())
        await until(lambda: bed.client.connected)


async def test_the_operators_own_certificate_is_used(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path / "operator", "localhost")
    files = {"tls": "on", "certificate": str(certificate), "private_key": str(key)}
    async with desk_running(tmp_path / "desk-data", files) as desk:
        assert not (desk.folder / "certificate.pem").exists()
        async with bed_connecting(desk, ca_file=certificate) as bed:
            await until(lambda: bed.client.connected)


async def test_an_operators_file_that_is_missing_is_named(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path, "localhost")
    for setting, gone in (("certificate", certificate), ("private_key", key)):
        files = {"tls": "on", "certificate": str(certificate), "private_key": str(key)}
        files[setting] = str(gone) + ".gone"
        with pytest.raises(SettingsError, match=rf"desk\.{setting} = '.*\.gone': there is no such file"):
            async with desk_running(tmp_path / "desk-data", files):
                pytest.fail("the desk runs without its certificate")


async def test_plain_http_at_the_tls_port_does_no_harm(tls_desk: RunningDesk) -> None:
    with pytest.raises((ConnectionError, InvalidMessage)):
        await connect(tls_desk.ws_url.replace("wss", "ws"), proxy=None)
    async with bed_connecting(tls_desk, ca_file=tls_desk.folder / "certificate.pem") as bed:
        await until(lambda: bed.client.connected)
