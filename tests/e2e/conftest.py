"""A whole ward: a desk process, a bed process with simulated pins and real ALSA, and real Chromium at the seats."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aioice.ice
import msgspec
import numpy as np
import pytest
from playwright.async_api import Browser, Page, expect

from kiosk import settings
from kiosk.bench.chromium import READ_CODE, SEAT_HZ, chromium, hear_tone
from kiosk.demo.ward import BedProcess, DeskProcess, Ward
from kiosk.hardware.levels import dominant_tone
from kiosk.hardware.sound import SAMPLE_RATE
from kiosk.media.interfaces import LOOPBACK, prepare_media
from kiosk.media.simulated_loss import SimulatedLoss
from kiosk.settings import Settings
from tests.pulse import PulseRig
from tests.waiting import HANG_S, until

BED_HZ = 440.0
HUM_S = 300
SEATS = ("nurse-1", "nurse-2")


def ward_settings(*, desk: dict[str, Any] | None = None, **sections: Any) -> Settings:
    """The test ward: loopback media, two seats, one bed."""
    seats = tuple(settings.Seat(user_id=user_id, name=user_id.title(), groups=("ward-3",)) for user_id in SEATS)
    made = Settings(
        bed=settings.Bed(group="ward-3", ward="Ward 3", room="301", bed="2", language="en"),
        signaling=settings.Signaling(user_id="bed-301-2"),
        buttons=settings.Buttons(simulated=True),
        # The bed hums a steady tone, which noise suppression takes for noise.
        audio=settings.Audio(microphone=PulseRig.microphone, speaker=PulseRig.speaker, echo="none", night="none"),
        video=settings.Video(camera="test"),
        media=settings.Media(interfaces=(LOOPBACK,)),
        desk=settings.Desk(port=0, wrap_up=0.0, close_from_seat=True, seats=seats),
    )
    changed = msgspec.structs.replace(made.desk, **(desk or {}))
    return msgspec.structs.replace(made, desk=changed, **sections)


class Seat:
    """One browser page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def by(self, test_id: str) -> Any:
        return self.page.get_by_test_id(test_id)

    async def is_(self, state: str) -> None:
        await expect(self.by("my-state")).to_have_attribute("data-state", state, timeout=30_000)

    async def rings(self) -> None:
        await expect(self.by("incoming")).to_be_visible(timeout=30_000)

    async def is_silent(self) -> None:
        await expect(self.by("incoming")).to_be_hidden(timeout=30_000)

    async def answers(self) -> None:
        await self.rings()
        await self.by("accept").click()
        await self.talks()

    async def talks(self) -> None:
        await expect(self.by("call-state")).to_have_attribute("data-state", "connected", timeout=30_000)

    async def request_is(self, state: str) -> None:
        await expect(self.by("request-row")).to_have_attribute("data-state", state, timeout=30_000)

    async def says(self, test_id: str, words: str | re.Pattern[str]) -> None:
        await expect(self.by(test_id)).to_contain_text(words, timeout=HANG_S * 1000)

    async def sees_the_bed(self) -> None:
        """Two different codes are read from the picture on the page."""
        codes: set[int] = set()
        async with asyncio.timeout(HANG_S):
            while len(codes) < 2:
                counter = await self.page.evaluate(READ_CODE)
                if counter is not None:
                    codes.add(counter)

    async def hears_the_bed(self) -> None:
        """The tone in the room is the strongest on the page."""
        await self.hears(BED_HZ, hear_tone())

    async def hears(self, hz: float, how: str) -> None:
        """A tone of *hz* is the strongest of what the page hears, by *how* it listens."""
        async with asyncio.timeout(HANG_S):
            while abs((await self.page.evaluate(how, 400))[0] - hz) > 8:
                pass

    async def nobody_waits(self) -> None:
        await expect(self.by("request-row")).to_have_count(0, timeout=30_000)


class Bed:
    """The bed process, seen by what it shows."""

    def __init__(self, process: BedProcess) -> None:
        self.process = process

    def press(self, line: str = "call tap") -> None:
        self.process.hand(line)

    def shown(self) -> list[str]:
        return [
            moment.event.removeprefix("shows ")
            for moment in self.process.moments()
            if moment.event.startswith("shows ")
        ]

    async def shows(self, prompt: str) -> None:
        await until(lambda: self.shown()[-1:] == [prompt], f"the bed shows {prompt}; it showed {self.shown()}")

    def told(self) -> list[str]:
        """TUICalling's events so far."""
        return [moment.event for moment in self.process.moments() if moment.event.startswith("on")]


class Hospital:
    """Starts and stops everything of a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ward = Ward(folder / "ward", ward_settings())
        self.desk: DeskProcess | None = None
        self.beds: list[Bed] = []
        self.pulse = PulseRig(folder / "pulse")
        self.hum: asyncio.subprocess.Process | None = None

    async def opens(self, made: Settings | None = None) -> None:
        """Desk and bed start; the bed is ready."""
        self.ward = Ward(self.folder / "ward", made or ward_settings())
        self.ward.prepare()
        self.desk = await self.ward.start_desk()
        bed = await self.bed_starts(self.desk.url)
        await bed.shows("ready")

    async def bed_starts(self, url: str, *, user_id: str = "", **sections: Any) -> Bed:
        """A bed of the ward; another one with *user_id* and other settings."""
        ward = self.ward
        if user_id:
            signaling = msgspec.structs.replace(ward.settings.signaling, user_id=user_id)
            changed = msgspec.structs.replace(ward.settings, signaling=signaling, **sections)
            ward = Ward(ward.folder / user_id, changed)
            ward.folder.mkdir()
            (ward.folder / ward.settings.desk.data).symlink_to(self.ward.folder / ward.settings.desk.data)
        ward.bed_settings(url)
        bed = Bed(await ward.start_bed(self.pulse.env))
        self.beds.append(bed)
        return bed

    async def desk_restarts(self) -> None:
        """The desk is killed, as by a power cut, and started again at the same port."""
        await self.desk_dies()
        self.desk = await self.ward.start_desk()

    async def desk_dies(self) -> None:
        assert self.desk is not None
        port = int(self.desk.url.rstrip("/").rpartition(":")[2])
        self.desk.process.kill()
        await self.desk.process.wait()
        changed = msgspec.structs.replace(self.ward.settings.desk, port=port)
        made = msgspec.structs.replace(self.ward.settings, desk=changed)
        self.ward = type(self.ward)(self.ward.folder, made)
        self.ward.prepare()

    # -- by keyboard

    async def somebody_hums(self) -> None:
        """A tone of ``BED_HZ`` sounds in the room until the end, or until the sound server dies."""
        if self.hum is not None:
            await asyncio.wait_for(self.hum.wait(), HANG_S)
        at = np.arange(SAMPLE_RATE) / SAMPLE_RATE
        tone = self.folder / "tone.raw"
        tone.write_bytes((np.sin(2 * np.pi * BED_HZ * at) * 9000).astype(np.int16).tobytes() * HUM_S)
        self.hum = await asyncio.create_subprocess_exec(
            *("pacat", "--playback", "--device=kiosk_mic", "--raw", "--format=s16le"),
            *(f"--rate={SAMPLE_RATE}", "--channels=1", str(tone)),
            env=os.environ | self.pulse.env,
        )

    async def bed_plays(self) -> tuple[float, float]:
        """The strongest tone of the next half second at the bed's speaker, and how clear it is in dB."""
        return dominant_tone(await asyncio.to_thread(self.pulse.record_speaker, 0.5), SAMPLE_RATE)

    async def bed_hears_the_seat(self) -> None:
        """The nurse's tone is the strongest at the bed's speaker."""
        async with asyncio.timeout(HANG_S):
            hz, clear = 0.0, 0.0
            while abs(hz - SEAT_HZ) > 8 or clear < 3:
                hz, clear = await self.bed_plays()

    @property
    def bed(self) -> Bed:
        return self.beds[0]

    async def closes(self) -> None:
        for bed in self.beds:
            await bed.process.stop()
        if self.desk is not None:
            await self.desk.stop()
        if self.hum is not None and self.hum.returncode is None:
            self.hum.kill()
            await asyncio.wait_for(self.hum.wait(), HANG_S)


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncIterator[Hospital]:
    hospital = Hospital(tmp_path)
    with hospital.pulse:
        await hospital.somebody_hums()
        try:
            yield hospital
        finally:
            await hospital.closes()


@pytest.fixture
async def browser(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """Chromium; an indirect parameter changes how it is started."""
    async with chromium(tmp_path, **getattr(request, "param", {})) as started:
        yield started


@pytest.fixture
def loss(monkeypatch: pytest.MonkeyPatch) -> SimulatedLoss:
    """Stands between this process's media and their sockets; lets everything pass until told otherwise."""
    prepare_media([LOOPBACK])
    for name in ("datagram_received", "send_data", "send_stun"):
        monkeypatch.setattr(aioice.ice.StunProtocol, name, getattr(aioice.ice.StunProtocol, name))
    loss = SimulatedLoss()
    loss.install()
    return loss


SignIn = Callable[..., Any]


@pytest.fixture
def sign_in(hospital: Hospital, browser: Browser) -> SignIn:
    """Sign a nurse in by link; the seat is ready when it returns."""

    async def signed_in(
        user_id: str = "nurse-1", *, expect_state: str = "free", before: str = "", **context: Any
    ) -> Seat:
        assert hospital.desk is not None
        opened = await browser.new_context(**({"locale": "en-GB"} | context))
        await opened.add_init_script(before)
        page = await opened.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        link = await asyncio.to_thread(hospital.ward.seat_link, hospital.desk.url, user_id)
        await page.goto(link.replace("#", "?trace#"))
        seat = Seat(page)
        await seat.is_(expect_state)
        assert not errors
        return seat

    return signed_in
