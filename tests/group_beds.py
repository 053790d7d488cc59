"""The media of a bed in a talk with several seats, each an aiortc peer in this process."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from typing import Any, TypeVar

import av
import numpy as np

from kiosk import settings
from kiosk.bedside import call_events, media_effects
from kiosk.bedside.call_media import CallMedia
from kiosk.bedside.devices import choose_devices
from kiosk.bedside.watchers import Watchers
from kiosk.demo.run import demo_settings
from kiosk.hardware.camera import Camera, OnFault, OnFrame
from kiosk.hardware.microphone import OnBlock, ToneMicrophone
from kiosk.hardware.moving_picture import MovingPicture
from kiosk.hardware.sound import SAMPLE_RATE, Block
from kiosk.hardware.speaker import SimulatedSpeaker
from kiosk.media.answering_peer import AnsweringPeer
from kiosk.media.relays import Relays
from kiosk.signaling.messages import CallType
from tests.waiting import until

T = TypeVar("T")

BED_HZ = 440.0
WIDTH, HEIGHT, FPS = 320, 192, 15
NEAR_HZ = 12.0
"""A tone that stumbles on a busy machine is a little wider than a line."""


class CountingMicrophone(ToneMicrophone):
    """A tone, and how often the device was opened and how many blocks it has given."""

    def __init__(self) -> None:
        super().__init__(BED_HZ)
        self.opened = self.blocks = 0

    def open(self, on_block: OnBlock, on_fault: OnFault) -> None:
        def counted(block: Block) -> None:
            self.blocks += 1
            on_block(block)

        self.opened += 1
        super().open(counted, on_fault)


class CountingCamera(MovingPicture):
    """The moving picture, and whether it is open."""

    def __init__(self) -> None:
        super().__init__(width=WIDTH, height=HEIGHT, fps=FPS)
        self.opened = 0
        self.is_open = False

    def open(self, on_frame: OnFrame, on_fault: OnFault) -> None:
        self.opened += 1
        super().open(on_frame, on_fault)  # which closes it before
        self.is_open = True

    def close(self) -> None:
        super().close()
        self.is_open = False


class GroupBed:
    """A bed's media; ``reports`` is what they told the machines, ``seats`` the far ends by call id."""

    def __init__(self, *, panel: bool = True, camera: Camera | None = None) -> None:
        self.microphone, self.camera, self.speaker = CountingMicrophone(), CountingCamera(), SimulatedSpeaker()
        self.reports: list[Any] = []
        self.pictures: list[av.VideoFrame] = []
        self.seats: dict[str, AnsweringPeer] = {}
        self.offers: dict[str, str] = {}
        self.answers: dict[str, str] = {}
        devices = choose_devices(demo_settings(port=0, auto=True))
        self.media = CallMedia(
            dataclasses.replace(
                devices, microphone=self.microphone, camera=camera or self.camera, speaker=self.speaker
            ),
            relays=Relays(()),
            video=settings.Video(width=WIDTH, height=HEIGHT, fps=FPS),
            watchers=Watchers(picture=self.pictures.append if panel else None),
            report=self.reports.append,
        )

    async def rings(
        self, call_id: str, *, hz: float, call_type: CallType = CallType.VIDEO, connection: int = 0
    ) -> AnsweringPeer:
        """A seat is offered a connection, or a new one, and answers it; nobody has accepted."""
        if connection:
            self.media.perform(media_effects.RebuildMedia(call_id, connection, call_type))
        else:
            self.media.perform(media_effects.OpenMedia(call_id, call_type))
        offered = await self.tells(call_events.Offered, call_id, connection=connection)
        seat = self.seats[call_id] = AnsweringPeer(hz=hz)
        self.offers[call_id] = offered.sdp
        self.answers[call_id] = await seat.answer(without_estimate(offered.sdp))
        self.media.perform(media_effects.ApplyAnswer(call_id, self.answers[call_id]))
        await self.tells(call_events.MediaUp, call_id, connection=connection)
        return seat

    def accepts(self, call_id: str, *, call_type: CallType = CallType.VIDEO) -> None:
        """The seat accepts."""
        self.seats[call_id].accept()
        self.media.perform(media_effects.OpenGate(call_id, call_type))
        self.media.perform(media_effects.WatchMedia(call_id, sends=True))

    async def joins(self, call_id: str, *, hz: float, call_type: CallType = CallType.VIDEO) -> AnsweringPeer:
        """A seat rings and accepts."""
        seat = await self.rings(call_id, hz=hz, call_type=call_type)
        self.accepts(call_id, call_type=call_type)
        return seat

    async def leaves(self, call_id: str) -> None:
        """The seat's call ends."""
        self.media.perform(media_effects.StopTimer(call_id))
        self.media.perform(media_effects.CloseMedia(call_id))
        await self.seats.pop(call_id).close()
        self.reports[:] = [one for one in self.reports if getattr(one, "call_id", "") != call_id]

    async def tells(self, kind: type[T], call_id: str, *, connection: int = 0) -> T:
        """Wait until it has told of *kind* in that call and connection."""

        def told() -> list[T]:
            return [
                one
                for one in self.reports
                if isinstance(one, kind) and (one.call_id, one.connection) == (call_id, connection)  # type: ignore[attr-defined]
            ]

        await until(lambda: bool(told()), f"{kind.__name__} of {call_id}")
        return told()[-1]

    async def closes(self) -> None:
        """Everything ends."""
        await asyncio.gather(self.media.close(), *(seat.close() for seat in self.seats.values()))


def part_of(sound: Block, hz: float) -> float:
    """The part of *sound*'s power that is near *hz*."""
    if len(sound) < SAMPLE_RATE // 4:
        return 0.0
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    spectrum[: round(20 * len(sound) / SAMPLE_RATE)] = 0.0
    at, near = (round(value * len(sound) / SAMPLE_RATE) for value in (hz, NEAR_HZ))
    whole = float(spectrum.sum())
    return float(spectrum[max(0, at - near) : at + near + 1].sum()) / whole if whole > 0 else 0.0


def without_estimate(sdp: str) -> str:
    """*sdp* for a seat that shall not judge the path: all ends share a process, and it would judge that."""
    return "".join(line for line in sdp.splitlines(keepends=True) if "abs-send-time" not in line)


def ports(sdp: str) -> frozenset[int]:
    """Of the candidates in *sdp*."""
    return frozenset(int(port) for port in re.findall(r"a=candidate:\S+ \d \w+ \d+ \S+ (\d+) ", sdp))
