"""What is to be said of what is around the bed: network, time, desk, TURN servers, disk.

Pure: times are seconds, dates are Unix seconds, and all are given.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kiosk.check.findings import Finding, Part, doubtful, faulty, fine, skipped
from kiosk.usersig import CLOCK_SKEW_S

CLOCK_OFF_S = 10.0
"""Against the desk. Beyond this a journal's ages and two logs side by side mislead; beyond ``CLOCK_SKEW_S`` tickets
are refused."""
DATE_STEP_S = 2.0
"""HTTP's Date knows whole seconds, and uvicorn makes a new one once a second."""
CERTIFICATE_SOON_DAYS = 30
TICKET_SOON_DAYS = 14
DAY_S = 24 * 3600
DISK_LEAST_MB = 50
"""Where less is free somebody should look: logs and updates fill the rest."""
DISK_FULL_MB = 2
"""A journal is at most 64 kB and is written anew beside the old one."""
SLOW_SYNC_S = 0.25
DEAD_SYNC_S = 1.0
"""What a press waits for a disk at most (``keeper.DISK_TIMEOUT_S``)."""
LISTED = 4
"""So many addresses or servers are named."""


@dataclass(frozen=True)
class Interface:
    """A network interface that is no loopback. ``up``: None where the system does not tell."""

    name: str
    addresses: tuple[str, ...]
    up: bool | None = None


@dataclass(frozen=True)
class Clock:
    """*skew_s*: how much this machine's clock is ahead of the desk's; None: the desk did not tell its time.
    *synchronised*: whether a time server keeps it right; None: the system does not tell."""

    skew_s: float | None = None
    synchronised: bool | None = None


@dataclass(frozen=True)
class DeskSeen:
    """What came of asking the desk. ``why`` is empty when it let the bed in."""

    url: str
    why: str = ""
    refused: bool = False
    """It answered, and does not know this bed."""


@dataclass(frozen=True)
class Ticket:
    """The UserSig as it lies on the disk; ``fault`` is why it could not be read, in words."""

    expires_at: float = 0.0
    fault: str = ""


@dataclass(frozen=True)
class Disk:
    """The folder of the journal. ``fault`` is what the system said when a file was written there."""

    free_mb: float = 0.0
    sync_s: float = 0.0
    fault: str = ""


def judge_network(interfaces: Sequence[Interface], *, wanted: Sequence[str], only_this_machine: bool) -> Finding:
    """*wanted* are the settings' ``media.interfaces``; *only_this_machine*: the desk is on it."""
    there = {address: interface for interface in interfaces for address in interface.addresses}
    missing = [address for address in wanted if address not in there]
    named = _listed(f"{interface.name} {address}" for address, interface in there.items())
    if missing:
        return faulty(Part.NETWORK, "network_address_missing", address=missing[0], addresses=named or "-")
    if any(interface.up is not False for interface in there.values()):
        return fine(Part.NETWORK, "network_ok", addresses=named)
    if only_this_machine:
        return fine(Part.NETWORK, "network_this_machine")
    down = _listed(interface.name for interface in interfaces if interface.up is False)
    return faulty(Part.NETWORK, "network_down", interfaces=down) if down else faulty(Part.NETWORK, "network_none")


def judge_clock(clock: Clock) -> Finding:
    """What is to be said of the time."""
    if clock.skew_s is None:
        if clock.synchronised is None:
            return skipped(Part.TIME, "time_unknown")
        told, code = (fine, "time_kept") if clock.synchronised else (doubtful, "time_not_kept")
        return told(Part.TIME, code)
    skew_s = round(clock.skew_s, 1)
    if abs(clock.skew_s) > CLOCK_SKEW_S:
        return faulty(Part.TIME, "time_wrong", skew_s=skew_s)
    if abs(clock.skew_s) > CLOCK_OFF_S:
        return doubtful(Part.TIME, "time_off", skew_s=skew_s)
    if clock.synchronised is False:
        return doubtful(Part.TIME, "time_right_not_kept", skew_s=skew_s)
    return fine(Part.TIME, "time_ok", skew_s=skew_s)


def skew(*, asked_at: float, answered_at: float, told: float) -> float:
    """How far this clock is ahead of one that *told* its whole second between *asked_at* and *answered_at*.

    What the way there and back and the rounding may explain is none.
    """
    earliest, latest = told, told + DATE_STEP_S
    if asked_at > latest:
        return asked_at - latest
    if answered_at < earliest:
        return answered_at - earliest
    return 0.0


def judge_desk(seen: DeskSeen, *, certificate_ends: float | None, now: float) -> tuple[Finding, ...]:
    """The log-in, and the certificate where there is one."""
    code = "desk_refuses" if seen.refused else "desk_unreachable"
    login = (
        faulty(Part.DESK, code, url=seen.url, why=seen.why)
        if seen.why
        else fine(Part.DESK, "desk_ok", url=seen.url)
    )
    if certificate_ends is None:
        return (login,)
    days = _days(certificate_ends - now)
    told = (fine, "certificate_ok") if days > CERTIFICATE_SOON_DAYS else (doubtful, "certificate_ends")
    return login, told[0](Part.DESK, told[1], days=days)


def judge_ticket(ticket: Ticket, *, now: float) -> Finding:
    """What is to be said of the UserSig."""
    if ticket.fault:
        return faulty(Part.DESK, "user_sig_unreadable", why=ticket.fault)
    left = ticket.expires_at - now
    if left <= 0:
        return faulty(Part.DESK, "user_sig_expired", days=_days(-left))
    told, code = (fine, "user_sig_ok") if left > TICKET_SOON_DAYS * DAY_S else (doubtful, "user_sig_ends")
    return told(Part.DESK, code, days=_days(left))


def judge_turn(answers: Mapping[str, bool] | None, *, relay_only: bool) -> Finding:
    """*answers* says of each TURN or STUN server whether it does; None: the desk was not there to name them."""
    if not answers:
        code = "turn_unknown" if answers is None else "turn_none"
        return faulty(Part.TURN, "turn_needed") if relay_only else skipped(Part.TURN, code)
    silent = [url for url, answered in answers.items() if not answered]
    if not silent:
        return fine(Part.TURN, "turn_ok", number=len(answers))
    if len(silent) < len(answers):
        return doubtful(Part.TURN, "turn_some_silent", servers=_listed(silent), number=len(answers))
    return faulty(Part.TURN, "turn_all_silent", servers=_listed(silent))


def judge_disk(disk: Disk) -> Finding:
    """What is to be said of the journal's disk."""
    if disk.fault:
        return faulty(Part.DISK, "disk_fault", why=disk.fault)
    figures = {"free_mb": round(disk.free_mb), "sync_ms": round(disk.sync_s * 1000)}
    if disk.free_mb < DISK_FULL_MB:
        return faulty(Part.DISK, "disk_full", **figures)
    if disk.sync_s > DEAD_SYNC_S:
        return faulty(Part.DISK, "disk_too_slow", **figures)
    if disk.sync_s > SLOW_SYNC_S:
        return doubtful(Part.DISK, "disk_slow", **figures)
    if disk.free_mb < DISK_LEAST_MB:
        return doubtful(Part.DISK, "disk_low", **figures)
    return fine(Part.DISK, "disk_ok", **figures)


def _days(seconds: float) -> int:
    return int(seconds // DAY_S)


def _listed(names: Iterable[str]) -> str:
    first = list(itertools.islice(names, LISTED + 1))
    return ", ".join([*first[:LISTED], "…"] if len(first) > LISTED else first)
