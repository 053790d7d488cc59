"""Whether the desk's connections are still written to, so that systemd's watchdog may be fed.

Pure: time is an argument (monotonic seconds).

A process that lives is not yet a desk that works: its loop may run while nothing leaves it. Every connection is
sent a ping each ``HEARTBEAT_S`` (``peer_session.py``), so while there is any, something must leave. It is enough
that one moves: a peer that does not read holds up its own writer only, and is closed. Without connections all is in
order.
"""

from __future__ import annotations

WITHIN_S = 15.0
"""Six heartbeats. A lone peer that does not read is closed before that as silent: it must not end the desk."""


class Writers:
    """The writers of all logged-in connections."""

    def __init__(self) -> None:
        self._open = 0
        self._moved_at = 0.0

    def began(self, *, now: float) -> None:
        """A connection's writer begins."""
        if not self._open:
            self._moved_at = now
        self._open += 1

    def wrote(self, *, now: float) -> None:
        """A message has gone out to any of them."""
        self._moved_at = now

    def ended(self) -> None:
        """A connection's writer has ended."""
        self._open -= 1

    def stalled(self, *, now: float) -> bool:
        """Whether there are connections, and nothing has gone out to any of them for ``WITHIN_S``."""
        return self._open > 0 and now - self._moved_at > WITHIN_S
