"""What the desk says of ICE servers: their addresses, and for TURN a name and a password that expire.

Pure: time is an argument (Unix seconds). Source: coturn's ``use-auth-secret`` (draft-uberti-behave-turn-rest-00).
The username is ``expiry:user id``, the password the base64 of its HMAC-SHA1, keyed with a secret that only the desk
and the TURN server know. coturn compares the expiry with its own clock: both machines need the right time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

from kiosk.signaling.messages import IceServer

RENEWED_AFTER = 0.5
"""Of its life: a bed that has lost the desk can go on calling a seat for the other half."""


@dataclass(frozen=True)
class Mint:
    """Makes credentials for *urls* that live *lifetime_s*; *secret* is coturn's ``static-auth-secret``."""

    urls: tuple[str, ...]
    lifetime_s: float
    secret: str = field(repr=False)

    @property
    def renewed_every_s(self) -> float | None:
        """How often whoever stays connected gets new ones; None = they do not expire."""
        return self.lifetime_s * RENEWED_AFTER if any(map(is_turn, self.urls)) else None

    def servers(self, user_id: str, *, now: int) -> tuple[IceServer, ...]:
        """Every server, for *user_id*."""
        username = f"{now + round(self.lifetime_s)}:{user_id}"
        made = hmac.new(self.secret.encode(), username.encode(), hashlib.sha1).digest()
        credential = base64.b64encode(made).decode()
        return tuple(
            IceServer(urls=url, username=username, credential=credential) if is_turn(url) else IceServer(urls=url)
            for url in self.urls
        )

    def without_credentials(self) -> tuple[str, ...]:
        """The servers that need none."""
        return tuple(url for url in self.urls if not is_turn(url))


def is_turn(url: str) -> bool:
    """Whether *url* names a TURN server, which needs a name and a password."""
    return url.startswith(("turn:", "turns:"))
