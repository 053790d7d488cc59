"""TURN credentials as coturn's ``use-auth-secret`` wants them; ``tests/e2e/test_turn.py`` has a real coturn."""

from __future__ import annotations

import pytest

from kiosk.desk.turn_credentials import Mint
from kiosk.signaling.messages import IceServer

TURN = "turn:10.1.2.3:3478?transport=tcp"
STUN = "stun:10.1.2.3"
NOW = 1_700_000_000


def mint(*urls: str) -> Mint:
    return Mint(urls, 43_200.0, "north")


def test_the_name_says_when_it_ends_and_whose_it_is_and_the_password_signs_it() -> None:
    # printf 1700043200:bed-1 | openssl dgst -sha1 -hmac north -binary | base64
    assert mint(TURN).servers("bed-1", now=NOW) == (
        IceServer(urls=TURN, username="1700043200:bed-1", credential="habuqRsZtQRGBajaRczA9EPhsNg="),
    )


def test_each_user_and_each_second_has_its_own() -> None:
    made = {mint(TURN).servers(user, now=NOW + s)[0].credential for user in ("bed-1", "bed-2") for s in (0, 1)}
    assert len(made) == 4


def test_a_stun_server_needs_none() -> None:
    assert mint(STUN).servers("bed-1", now=NOW) == (IceServer(urls=STUN),)
    assert mint(STUN, TURN, "turns:desk").without_credentials() == (STUN,)


@pytest.mark.parametrize(("urls", "every_s"), [((), None), ((STUN,), None), ((STUN, TURN), 21_600.0)])
def test_they_are_renewed_after_half_their_life(urls: tuple[str, ...], every_s: float | None) -> None:
    assert mint(*urls).renewed_every_s == every_s


def test_neither_secret_nor_password_is_ever_shown() -> None:
    made = mint(TURN)
    (server,) = made.servers("bed-1", now=NOW)
    assert "north" not in repr(made)
    for word in (server.username, server.credential):
        assert word not in repr(server)
