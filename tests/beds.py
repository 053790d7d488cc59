"""A bed's real client, and what its owner was told."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from kiosk.signaling import messages as wire
from kiosk.signaling.client import Client, Listener
from tests.desks import BED, RunningDesk
from tests.waiting import until

M = TypeVar("M", bound=wire.Message)


class ToldBed(Listener):
    """The client's owner: keeps what it is told."""

    def __init__(
        self, url: str, *, user_sig: Callable[[], str], ca_file: Path | None, chance: random.Random | None
    ):
        self.client = Client(
            url=url,
            ca_file=ca_file,
            user_id=BED,
            sdk_app_id=1400000000,
            user_sig=user_sig,
            listener=self,
            chance=chance,
        )
        self.ups: list[wire.LoginOk] = []
        self.downs: list[str] = []
        self.refusals: list[tuple[str, str]] = []
        self.kicks: list[str] = []
        self.heard: list[wire.Message] = []
        self.while_up: Callable[[], object] = lambda: None

    def link_up(self, login: wire.LoginOk) -> wire.Snapshot:
        self.ups.append(login)
        self.while_up()
        return wire.Snapshot(id=self.client.new_id(), bed=wire.BedInfo(group="ward", bed=str(len(self.ups))))

    def link_down(self, why: str) -> None:
        self.downs.append(why)

    def refused(self, code: str, why: str) -> None:
        self.refusals.append((code, why))

    def kicked_out(self, why: str) -> None:
        self.kicks.append(why)

    def received(self, message: wire.Message) -> None:
        self.heard.append(message)

    def all_of(self, kind: type[M]) -> list[M]:
        """What it received of *kind*."""
        return [message for message in self.heard if isinstance(message, kind)]

    async def is_taken(self) -> None:
        """Its first snapshot since it looked last is acknowledged."""
        known = len(self.all_of(wire.Ack))
        await until(lambda: len(self.all_of(wire.Ack)) > known, "the desk acknowledges")


@contextlib.asynccontextmanager
async def bed_at(
    url: str,
    *,
    user_sig: Callable[[], str] = lambda: "ticket",
    ca_file: Path | None = None,
    chance: random.Random | None = None,
) -> AsyncIterator[ToldBed]:
    """A bed whose client runs; a patient waits, so that it connects at once."""
    bed = ToldBed(url, user_sig=user_sig, ca_file=ca_file, chance=chance)
    bed.client.hurry()
    running = asyncio.create_task(bed.client.run())
    try:
        yield bed
    finally:
        running.cancel()
        ended = await asyncio.gather(running, return_exceptions=True)
        assert isinstance(ended[0], asyncio.CancelledError), f"the client ended by itself: {ended[0]!r}"


@contextlib.asynccontextmanager
async def bed_connecting(desk: RunningDesk, *, ca_file: Path | None = None) -> AsyncIterator[ToldBed]:
    """A bed with a good ticket."""
    async with bed_at(desk.ws_url, user_sig=lambda: desk.ticket(BED), ca_file=ca_file) as bed:
        yield bed
