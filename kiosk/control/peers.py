"""Who may speak on the control socket: root, the bed's own user, and the members of one named group."""

from __future__ import annotations

import grp
import logging
import os
import pwd
import socket
import struct
from dataclasses import dataclass

log = logging.getLogger(__name__)

_UCRED = struct.Struct("3i")
"""``struct ucred`` (unix(7)): pid, uid, gid of whoever connected, told by the kernel."""
NOBODY_ELSE = "none"


@dataclass(frozen=True)
class Peer:
    """The process at the other end."""

    pid: int
    uid: int
    gid: int


def peer_of(connection: socket.socket) -> Peer:
    """Who connected. Raises OSError."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return Peer(*_UCRED.unpack(told))


def group_id(name: str) -> int | None:
    """The number of the group *name*; None for nobody else, or a group that there is not (which is logged)."""
    if name == NOBODY_ELSE:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        log.warning("x control.group = %r: there is no such group: only root and this user may ask", name)
        return None


def may_speak(peer: Peer, *, group: int | None) -> bool:
    """Whether *peer* is root, this process's user, or in *group*."""
    if peer.uid in (0, os.geteuid()):
        return True
    return group is not None and group in _groups_of(peer)


def _groups_of(peer: Peer) -> set[int]:
    try:
        return {peer.gid, *os.getgrouplist(pwd.getpwuid(peer.uid).pw_name, peer.gid)}
    except KeyError:  # a user without a name, as of a container
        return {peer.gid}
