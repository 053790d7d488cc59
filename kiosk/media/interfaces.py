"""Which of this machine's addresses a call may use."""

from __future__ import annotations

import ipaddress
import logging
import ssl
from collections.abc import Sequence
from pathlib import Path

import ifaddr

from kiosk.errors import SettingsError
from kiosk.media.aiortc_private import (
    bound_servers,
    ignore_empty_datagrams,
    keep_history,
    offer_addresses,
    shorten_audio_buffer,
    steady_clock,
)

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"


def prepare_media(interfaces: Sequence[str], *, ca_file: Path | None = None) -> None:
    """Set this process up for calls: the addresses to offer, the time a server may cost, aiortc's buffers and
    clock.

    *ca_file* (PEM) is the authority that TURN servers with TLS are checked by; None = the system's.

    *interfaces* are the settings' ``media.interfaces``; empty means every address but loopback and link-local ones,
    and loopback where there is no other. They are looked up anew for each call: a bed starts before its network,
    and its address may change. Raises :exc:`SettingsError`.
    """
    fixed = [_checked(address) for address in interfaces]

    def addresses() -> list[str]:
        return fixed or local_addresses() or [LOOPBACK]

    offer_addresses(addresses)
    bound_servers(lambda: ssl.create_default_context(cafile=None if ca_file is None else str(ca_file)))
    ignore_empty_datagrams()
    shorten_audio_buffer()
    keep_history()
    steady_clock()
    log.info("- media addresses%s: %s", "" if fixed else " now", ", ".join(addresses()))


def local_addresses() -> list[str]:
    """Every address of this machine but loopback and link-local ones."""
    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            address = ipaddress.ip_address(text)
            if not (address.is_loopback or address.is_link_local):
                found.append(text)
    return found


def _checked(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        raise SettingsError(f"media.interfaces: {address!r} is not an IP address, such as '10.1.2.3'") from None
