"""Which STUN and TURN server a call uses."""

from __future__ import annotations

import pytest
from hypothesis import given

from kiosk.media.ice_choice import Address, address_of, for_a_call, known
from kiosk.signaling.messages import IceServer
from tests.settings_strategy import ICE_SERVERS

UDP, TCP, TLS, STUN = "turn:t:1", "turn:t:1?transport=tcp", "turns:t:2", "stun:s"


def minted(*urls: str) -> tuple[IceServer, ...]:
    return tuple(
        IceServer(urls=url) if url.startswith("stun:") else IceServer(urls=url, username="9:bed", credential="pass")
        for url in urls
    )


def urls(servers: tuple[IceServer, ...]) -> list[str]:
    return [server.urls for server in servers]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("stun:10.1.2.3", Address("stun", "10.1.2.3", 3478)),
        ("turn:desk:99", Address("udp", "desk", 99)),
        ("turn:desk?transport=udp", Address("udp", "desk", 3478)),
        ("turn:desk:0?transport=tcp", Address("tcp", "desk", 0)),
        ("turns:desk", Address("tls", "desk", 5349)),
        ("turns:desk:443?transport=tcp", Address("tls", "desk", 443)),
        ("turns:desk?transport=udp", None),
        ("stun:desk?transport=tcp", None),
        ("http://desk", None),
        ("", None),
    ],
)
def test_a_url_says_where_a_server_is_and_how_it_is_reached(url: str, address: Address | None) -> None:
    assert address_of(url) == address


@given(ICE_SERVERS)
def test_every_url_the_settings_allow_is_understood_or_passed_over(url: str) -> None:
    assert len(known([url], ())) == (address_of(url) is not None)


def test_udp_is_tried_before_tcp_and_tcp_before_tls_whatever_the_order_in_the_settings() -> None:
    assert urls(known([], minted(TLS, TCP, STUN, UDP))) == [STUN, UDP, TCP, TLS]


def test_the_desks_servers_are_used_where_the_bed_names_none() -> None:
    assert known([], minted(STUN, TCP)) == minted(STUN, TCP)
    assert known(["stun:own"], minted(STUN, TCP)) == (IceServer(urls="stun:own"),)


def test_a_turn_server_of_the_bed_gets_the_desks_credentials() -> None:
    assert known(["turn:own", "stun:own"], minted(STUN, TCP)) == (
        IceServer(urls="stun:own"),
        IceServer(urls="turn:own", username="9:bed", credential="pass"),
    )
    assert known(["turn:own"], ()) == (IceServer(urls="turn:own"),)


def test_a_call_gets_one_of_each_the_best_that_answers() -> None:
    servers = known([], minted(STUN, UDP, TCP, TLS))
    assert urls(for_a_call(servers, {})) == [STUN, UDP]
    assert urls(for_a_call(servers, {UDP: False, TCP: True, TLS: True})) == [STUN, TCP]
    assert urls(for_a_call(servers, {STUN: False, UDP: False, TCP: False, TLS: True})) == [TLS]


def test_a_call_waits_for_no_server_that_does_not_answer() -> None:
    servers = known([], minted(STUN, UDP, TCP, TLS))
    assert for_a_call(servers, dict.fromkeys(urls(servers), False)) == ()
