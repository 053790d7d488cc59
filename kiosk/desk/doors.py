"""The desk's plain HTTP doors: sign-in for seat pages, seat allocation for any other client.

JSON in and out; errors are ``{"error": {"code", "message", "field"}}``. ``/api/allocate`` is the door for clients
that do their signaling elsewhere (TUICalling, SIP …): it reserves a seat for the ring time-out and says whom to
call. The ``userSig`` it returns is a fresh ticket of the *asking* client, never the seat's, with which anybody
could sign in as the nurse.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from kiosk.desk.allocation_events import AllBusy, Reserved, SeatAsked, SeatReturned
from kiosk.desk.audit import Act, Audited
from kiosk.desk.auditor import Auditor
from kiosk.desk.registry import SEAT_TTL_S, Registry
from kiosk.desk.relay import Relay
from kiosk.errors import BadMessage, CredentialError, SettingsError
from kiosk.settings import Desk, Seat
from kiosk.signaling import messages as wire
from kiosk.signaling.codec import decode_json

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024
BODY_TIMEOUT_S = 10.0
MAX_WAITING_SIGN_INS = 64
"""Passphrases are checked one after the other, so that guessing them costs one core and no seat's calls."""
MAX_WAITING_PER_ADDRESS = 4
"""So that whoever guesses leaves room for the others."""

S = TypeVar("S", bound=msgspec.Struct)


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """Either user id and passphrase, or a one-time code."""

    user_id: Annotated[str, Meta(max_length=64)] = msgspec.field(default="", name="userID")
    passphrase: Annotated[str, Meta(max_length=256)] = ""
    code: Annotated[str, Meta(max_length=64)] = ""

    def __repr__(self) -> str:
        return f"SignIn(user_id={self.user_id!r}, …)"


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What a seat page logs in with."""

    user_id: str = msgspec.field(name="userID")
    sdk_app_id: int = msgspec.field(name="sdkAppID")
    user_sig: str = msgspec.field(name="userSig")
    expires_at: int = msgspec.field(name="expiresAt")
    name: str = ""

    def __repr__(self) -> str:
        return f"Ticket(user_id={self.user_id!r}, …)"


class _Asking(msgspec.Struct, frozen=True, kw_only=True):
    user_id: Annotated[str, Meta(max_length=64)] = msgspec.field(name="userID")
    sdk_app_id: int = msgspec.field(name="sdkAppID")
    user_sig: Annotated[str, Meta(max_length=4096)] = msgspec.field(name="userSig")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(user_id={self.user_id!r}, …)"


class Allocate(_Asking, frozen=True, kw_only=True):
    """Ask for a free seat of *group*, the named one first."""

    group: wire.Token = "ward"
    seat: wire.UserId | None = None
    call_type: wire.CallType = msgspec.field(default=wire.CallType.VIDEO, name="callType")
    priority: wire.Priority = wire.Priority.NORMAL
    ward: wire.Label = ""
    room: wire.Label = ""
    bed: wire.Label = ""


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """The seat to call, and the asking client's own fresh ticket."""

    user_id: str = msgspec.field(name="userID")
    sdk_app_id: int = msgspec.field(name="sdkAppID")
    user_sig: str = msgspec.field(name="userSig")
    call_id: str = msgspec.field(name="callID")
    fence: int
    expires_at: int = msgspec.field(name="expiresAt")

    def __repr__(self) -> str:
        return f"Allocation(user_id={self.user_id!r}, call_id={self.call_id!r}, …)"


class Release(_Asking, frozen=True, kw_only=True):
    """Give a reservation back."""

    call_id: wire.Token = msgspec.field(name="callID")


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The desk lives."""

    ok: bool
    connected: int
    history_fault: str = ""
    """Why the timelines cannot be written now; requests are served all the same."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why not."""

    code: str
    message: str
    field: str = ""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every error."""

    error: Fault


_STATUS = {"bad_message": 400, "too_large": 413, "too_many": 429, "busy": 409, "unavailable": 503}


def answer(body: msgspec.Struct, status: int = 200) -> Response:
    """*body* as JSON."""
    headers = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(body), status, headers=headers, media_type="application/json")


def refuse(code: str, message: str, field: str = "") -> Response:
    """An error; everything that is not listed is a matter of who is asking: 403."""
    return answer(Refusal(error=Fault(code=code, message=message, field=field)), _STATUS.get(code, 403))


class Doors:
    """The HTTP API of one desk."""

    def __init__(self, settings: Desk, registry: Registry, relay: Relay, auditor: Auditor) -> None:
        self._settings = settings
        self._registry = registry
        self._relay = relay
        self._auditor = auditor
        self._one_passphrase = asyncio.Lock()
        self._one_code = asyncio.Lock()
        self._waiting: Counter[str] = Counter()

    def routes(self) -> list[Route]:
        """All of it."""
        return [
            Route("/api/sign-in", self._sign_in, methods=["POST"]),
            Route("/api/allocate", self._allocate, methods=["POST"]),
            Route("/api/release", self._release, methods=["POST"]),
        ]

    async def _sign_in(self, request: Request) -> Response:
        who, address = "", _address(request)
        try:
            asked = await _body(request, SignIn)
            # What is no seat's id may be anything, a passphrase in the wrong field too.
            who = asked.user_id if self._registry.seat(asked.user_id) else ""
            seat = await (self._by_code(asked.code) if asked.code else self._by_passphrase(asked, address))
        except (BadMessage, CredentialError) as error:
            self._auditor.refused(who, address, error.code)
            return _refusal(error)
        except SettingsError as error:
            log.error("x sign-in: %s", error)
            self._auditor.refused(who, address, "unavailable")
            return refuse("unavailable", "the desk cannot read or write its sign-in secrets: see its log")
        now = int(time.time())
        reason = "code" if asked.code else "passphrase"
        self._auditor.known(Act(Audited.SIGNED_IN, seat.user_id, address=address, reason=reason))
        self._auditor.known(Act(Audited.USERSIG_ISSUED, seat.user_id, address=address, reason="sign-in"))
        return answer(
            Ticket(
                user_id=seat.user_id,
                sdk_app_id=self._settings.sdk_app_id,
                user_sig=self._registry.issue(seat.user_id, now=now),
                expires_at=now + SEAT_TTL_S,
                name=seat.name or seat.user_id,
            )
        )

    async def _by_code(self, code: str) -> Seat:
        async with self._one_code:
            return await asyncio.to_thread(self._registry.use_code, code, now=int(time.time()))

    async def _by_passphrase(self, asked: SignIn, address: str) -> Seat:
        crowded = self._waiting.total() >= MAX_WAITING_SIGN_INS
        if crowded or self._waiting[address] >= MAX_WAITING_PER_ADDRESS:
            raise CredentialError("too_many", "too many sign-ins at this moment: try again")
        self._waiting[address] += 1
        try:
            async with self._one_passphrase:
                return await asyncio.to_thread(
                    self._registry.check_passphrase,
                    asked.user_id,
                    asked.passphrase,
                    now=time.monotonic(),
                    address=address,
                )
        finally:
            self._waiting[address] -= 1
            self._waiting += Counter()  # drops those that are zero

    async def _allocate(self, request: Request) -> Response:
        now = int(time.time())
        try:
            asked = await _body(request, Allocate)
            self._check(asked, now)
        except (BadMessage, CredentialError) as error:
            self._auditor.refused("", _address(request), error.code)
            return _refusal(error)
        wish = wire.OpenRequest(
            request_id=secrets.token_hex(16),
            age=0,
            priority=asked.priority,
            call_type=asked.call_type,
            seat=asked.seat,
        )
        bed = wire.BedInfo(group=asked.group, ward=asked.ward, room=asked.room, bed=asked.bed)
        for effect in self._relay.handle(SeatAsked(asked.user_id, wish, bed)):
            if isinstance(effect, Reserved):
                issued = Act(Audited.USERSIG_ISSUED, asked.user_id, address=_address(request), reason="allocate")
                self._auditor.known(issued)
                return answer(
                    Allocation(
                        user_id=effect.lease.seat,
                        sdk_app_id=self._settings.sdk_app_id,
                        user_sig=self._registry.issue(asked.user_id, now=now),
                        call_id=effect.lease.call_id,
                        fence=effect.lease.fence,
                        expires_at=now + round(self._settings.ring_timeout),
                    )
                )
            if isinstance(effect, AllBusy):
                break
        return refuse("busy", f"no seat of group {asked.group!r} is free: wait or try again")

    async def _release(self, request: Request) -> Response:
        try:
            asked = await _body(request, Release)
            self._check(asked, int(time.time()))
        except (BadMessage, CredentialError) as error:
            self._auditor.refused("", _address(request), error.code)
            return _refusal(error)
        self._relay.handle(SeatReturned(asked.user_id, asked.call_id))
        return Response(status_code=204)

    def _check(self, asked: _Asking, now: int) -> None:
        self._registry.verify(asked.user_id, asked.sdk_app_id, asked.user_sig, now=now)
        if self._registry.seat(asked.user_id) is not None:
            raise CredentialError("not_allowed", "a seat cannot ask for a seat")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


async def _body(request: Request, kind: type[S]) -> S:
    """Read and check the JSON body. Raises :exc:`BadMessage`."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise BadMessage("too_large", f"at most {MAX_BODY_BYTES} bytes are allowed")
    except TimeoutError:
        raise BadMessage("bad_message", f"the body did not arrive within {BODY_TIMEOUT_S:g} s") from None
    except ClientDisconnect:
        raise BadMessage("bad_message", "the body did not arrive: its sender has gone") from None
    return decode_json(msgspec.json.Decoder(kind), bytes(body))


def _refusal(error: BadMessage | CredentialError) -> Response:
    return refuse(error.code, str(error), error.field if isinstance(error, BadMessage) else "")
