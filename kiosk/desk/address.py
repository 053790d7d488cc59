"""Where people reach the desk."""

from __future__ import annotations

import socket

from kiosk.settings import Desk, is_loopback_host


def wants_tls(settings: Desk) -> bool:
    """https, unless only this machine can reach the desk or the operator says otherwise."""
    return settings.tls == "on" or (settings.tls == "auto" and not is_loopback_host(settings.host))


def page_url(settings: Desk, *, port: int) -> str:
    """The address of the seat page of a desk that listens at *port*."""
    scheme = "https" if wants_tls(settings) else "http"
    return f"{scheme}://{_reachable(settings.host)}:{port}/"


def _reachable(host: str) -> str:
    if host in ("localhost", "127.0.0.1", "::1", "[::1]"):
        return "localhost"
    if host in ("0.0.0.0", "::"):  # noqa: S104  (the operator asked for every interface; here it is only named)
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
