"""Which addresses a call may use: those of the settings, or those this machine has when it calls."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import aioice.ice
import aiortc.rtcrtpreceiver
import ifaddr
import pytest

from kiosk.errors import SettingsError
from kiosk.media.aiortc_private import ShortJitterBuffer
from kiosk.media.interfaces import LOOPBACK, local_addresses, prepare_media


@pytest.fixture(autouse=True)
def aiortc_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("get_host_addresses", "relayed_candidate", "server_reflexive_candidate"):
        monkeypatch.setattr(aioice.ice, name, getattr(aioice.ice, name))
    monkeypatch.setattr(aiortc.rtcrtpreceiver, "JitterBuffer", vars(aiortc.rtcrtpreceiver)["JitterBuffer"])


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[ifaddr.IP]:
    """The addresses this machine has; a test adds to them."""
    addresses: list[ifaddr.IP] = []
    adapters = [ifaddr.Adapter("eth0", "eth0", addresses)]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    return addresses


def ip(address: str) -> ifaddr.IP:
    if ":" in address:
        return ifaddr.IP((address, 0, 0), 64, "eth0")
    return ifaddr.IP(address, 24, "eth0")


def gathered(*, use_ipv4: bool = True, use_ipv6: bool = True) -> Sequence[str]:
    return aioice.ice.get_host_addresses(use_ipv4=use_ipv4, use_ipv6=use_ipv6)


def test_the_settings_addresses_are_offered_and_no_others(machine: list[ifaddr.IP]) -> None:
    machine.append(ip("192.0.2.9"))
    prepare_media(["10.1.2.3", "2001:db8::1"])
    assert gathered() == ["10.1.2.3", "2001:db8::1"]


def test_a_connection_without_ipv6_is_offered_none_of_it() -> None:
    prepare_media(["10.1.2.3", "2001:db8::1"])
    assert gathered(use_ipv6=False) == ["10.1.2.3"]
    assert gathered(use_ipv4=False) == ["2001:db8::1"]


def test_an_address_is_offered_in_its_usual_spelling() -> None:
    prepare_media(["2001:0DB8:0:0::0001"])
    assert gathered() == ["2001:db8::1"]


@pytest.mark.parametrize(
    "address", ["", "eth0", "10.1.2", "10.1.2.256", "10.1.2.3/24", "010.1.2.3", "::g", "10.1.2.3\n"]
)
def test_what_is_no_address_is_refused_in_words_and_changes_nothing(address: str) -> None:
    prepare_media(["10.9.9.9"])
    with pytest.raises(SettingsError, match=r"media\.interfaces: .* is not an IP address, such as '10\.1\.2\.3'"):
        prepare_media(["10.1.2.3", address])
    assert gathered() == ["10.9.9.9"]


def test_without_settings_all_but_loopback_and_link_local_are_offered(machine: list[ifaddr.IP]) -> None:
    machine += [ip(text) for text in ("127.0.0.1", "10.1.2.3", "169.254.7.7", "::1", "fe80::1", "2001:db8::1")]
    prepare_media([])
    assert gathered() == ["10.1.2.3", "2001:db8::1"]


def test_loopback_is_offered_where_there_is_nothing_else(machine: list[ifaddr.IP]) -> None:
    machine.append(ip("169.254.7.7"))
    prepare_media([])
    assert gathered() == [LOOPBACK]


def test_a_bed_that_started_before_its_network_uses_it_in_the_next_call(machine: list[ifaddr.IP]) -> None:
    prepare_media([])
    machine.append(ip("10.1.2.3"))
    assert gathered() == ["10.1.2.3"]
    machine[:] = [ip("10.1.2.77")]
    assert gathered() == ["10.1.2.77"]


def test_this_very_machine_tells_addresses() -> None:
    for address in map(ipaddress.ip_address, local_addresses()):
        assert not address.is_loopback
        assert not address.is_link_local


def test_audio_is_buffered_shortly_from_then_on() -> None:
    prepare_media([LOOPBACK])
    assert vars(aiortc.rtcrtpreceiver)["JitterBuffer"] is ShortJitterBuffer
