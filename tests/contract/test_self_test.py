"""A running bed tests itself: each of its parts, broken in turn, is named, and whoever needs the bed goes first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kiosk import settings
from kiosk.bedside import capture, self_test
from kiosk.bedside.devices import simulated_faults
from kiosk.bedside.journal_file import JournalFile
from kiosk.bedside.prompts import words
from kiosk.bedside.request_events import LampSign, View
from kiosk.bedside.shared_lamp import SharedLamp
from kiosk.check import history, pins, probes
from kiosk.check.around import Interface
from kiosk.check.findings import Finding, Part, Report, Verdict
from kiosk.control import messages
from kiosk.control.address import path_of
from kiosk.control.client import ControlClient, bed_at
from kiosk.control.messages import Refusal
from kiosk.files import write_secret
from kiosk.hardware.lamp import GpioLamp, LampPattern
from kiosk.hardware.pins import simulated_pins
from kiosk.settings import Settings
from tests.bedsides import NOBODY_LISTENS, RunningBedside, bed_settings, bedside_running
from tests.desks import BED, RunningDesk
from tests.waiting import HANG_S, until

OK, FAULT, WARNING, SKIPPED = Verdict.OK, Verdict.FAULT, Verdict.WARNING, Verdict.SKIPPED


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is only there for a person's eyes and ears takes no time here."""
    monkeypatch.setattr(self_test, "LAMP_SHOWN_S", 0.02)
    monkeypatch.setattr(self_test, "LAMP_FIRST_S", 0.02)
    monkeypatch.setattr(self_test, "RELAY_SHOWN_S", 0.02)
    monkeypatch.setattr(self_test, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(pins, "LOOK_S", 0.1)


def simulated(url: str = NOBODY_LISTENS, **sections: Any) -> Settings:
    """A bed with everything that can be simulated."""
    made = msgspec.structs.replace(
        bed_settings(url),
        audio=settings.Audio(microphone="room", speaker="simulated", night="none"),
        video=settings.Video(camera="test", width=320, height=192),
    )
    return msgspec.structs.replace(made, **sections)


class Bed:
    """A bed that runs, and a line to it."""

    def __init__(self, bed: RunningBedside, client: ControlClient, folder: Path) -> None:
        self.bed = bed
        self.client = client
        self.folder = folder
        self.told: list[messages.AnyTold] = []

    def breaks(self, part: str, how: str) -> None:
        simulated_faults(self.bed.settings, self.bed.devices, self.bed.pins).break_it(part, how)

    async def hears(self) -> messages.AnyTold:
        self.told.append(await self.client.hear(within_s=HANG_S))
        return self.told[-1]

    async def tests_itself(self, *parts: Part, **wanted: bool) -> Report:
        await self.client.say(messages.RunSelfTest(parts=parts, **wanted))
        while True:
            match await self.hears():
                case messages.SelfTested(report=report):
                    return report
                case messages.Question():
                    await self.client.say(messages.Looked(yes=True))
                case messages.Refused(message=message):
                    pytest.fail(message)

    async def is_refused(self, *parts: Part) -> Refusal:
        await self.client.say(messages.RunSelfTest(parts=parts))
        while True:
            match await self.hears():
                case messages.Refused(code=code):
                    return code
                case messages.SelfTested():
                    pytest.fail("it was tested to the end")


@contextlib.asynccontextmanager
async def running(
    folder: Path, made: Settings, *, user_sig: Callable[[], str] = lambda: "ticket", **options: Any
) -> AsyncIterator[Bed]:
    journal = JournalFile(folder / made.state.folder)
    async with bedside_running(made, user_sig=user_sig, journal=journal, folder=folder, **options) as bed:
        path = path_of(made, folder)
        await until(path.exists, "the control socket")
        async with bed_at(path) as client:
            assert client is not None
            yield Bed(bed, client, folder)


def found(report: Report) -> dict[Part, tuple[Verdict, str]]:
    """The worst of each part."""
    order = list(Verdict)
    worst: dict[Part, tuple[Verdict, str]] = {}
    for finding in report.findings:
        if finding.part not in worst or order.index(finding.verdict) > order.index(worst[finding.part][0]):
            worst[finding.part] = finding.verdict, finding.code
    return worst


def of(report: Report, part: Part) -> Sequence[Finding]:
    return [finding for finding in report.findings if finding.part is part]


# -- each part


HARDWARE = (Part.BUTTON, Part.LAMP, Part.RELAY, Part.MICROPHONE, Part.SPEAKER, Part.CAMERA)


@pytest.mark.promise("R22")
async def test_a_bed_in_order_is_found_so_and_it_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path, simulated()) as bed:
        report = await bed.tests_itself(*HARDWARE, relay=True, ask=True)
        assert {part: verdict for part, (verdict, _) in found(report).items()} == dict.fromkeys(HARDWARE, OK)
        assert found(report)[Part.LAMP][1] == "lamp_seen"
        assert found(report)[Part.RELAY][1] == "relay_heard"
        (speaker,) = of(report, Part.SPEAKER)
        assert 0 <= int(speaker.figures["loss_db"]) <= 12
        assert [each.finding for each in bed.told if isinstance(each, messages.Found)] == list(report.findings)
        assert history.read(tmp_path / "state") == (report,)


BROKEN = [
    ("lamp", "shorted-low", Part.LAMP, "lamp_stays_dark"),
    ("lamp", "shorted-high", Part.LAMP, "lamp_stays_lit"),
    ("relay", "shorted-low", Part.RELAY, "relay_stays_open"),
    ("relay", "shorted-high", Part.RELAY, "relay_stays_closed"),
    ("microphone", "muted", Part.MICROPHONE, "microphone_dead"),
    ("speaker", "unplugged", Part.SPEAKER, "speaker_unheard"),
    ("camera", "covered", Part.CAMERA, "camera_black"),
    ("camera", "dazzled", Part.CAMERA, "camera_white"),
    ("camera", "blank", Part.CAMERA, "camera_blank"),
    ("camera", "frozen", Part.CAMERA, "camera_frozen"),
    ("camera", "nothing", Part.CAMERA, "camera_no_picture"),
]


@pytest.mark.promise("R22")
@pytest.mark.parametrize(("part", "how", "named", "code"), BROKEN)
async def test_a_broken_part_is_named_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, how: str, named: Part, code: str
) -> None:
    monkeypatch.setattr(capture, "DEVICES_TIMEOUT_S", 1.0)
    async with running(tmp_path, simulated()) as bed:
        bed.breaks(part, how)
        report = await bed.tests_itself(*HARDWARE, relay=True)
        assert found(report)[named] == (FAULT, code)
        assert {finding.part for finding in report.findings if finding.verdict in (FAULT, WARNING)} == {named}


@pytest.mark.promise("R22", "R14")
@pytest.mark.parametrize(
    ("wiring", "how", "code"),
    [("normally_open", "shorted-low", "button_down"), ("normally_closed", "shorted-high", "button_line_open")],
)
async def test_a_button_that_stays_down_is_named_once_somebody_has_attended(
    tmp_path: Path, wiring: str, how: str, code: str
) -> None:
    made = bed_settings(call_wiring=wiring)
    async with running(tmp_path, made) as bed:
        bed.breaks("button", how)
        await bed.bed.shows("use_other_bell")
        assert await bed.is_refused() is Refusal.IN_USE, "it is a press first of all"
        await asyncio.to_thread(bed.bed.attend.tap)
        await bed.bed.shows("no_link")
        report = await bed.tests_itself(Part.BUTTON)
        assert [(each.verdict, each.code) for each in report.findings if each.figures["name"] == "call"] == [
            (FAULT, code)
        ]


async def test_what_is_switched_off_is_not_tested_and_what_is_missing_is_a_fault(tmp_path: Path) -> None:
    off = settings.Audio(microphone="none", speaker="simulated")
    async with running(tmp_path, simulated(audio=off, video=settings.Video(camera="none"))) as bed:
        worst = found(await bed.tests_itself(*HARDWARE))
        assert worst[Part.MICROPHONE] == (SKIPPED, "device_off")
        assert worst[Part.CAMERA] == (SKIPPED, "device_off")
        assert worst[Part.SPEAKER] == (SKIPPED, "speaker_unjudged")
    missing = settings.Audio(microphone="room", speaker="none")
    async with running(tmp_path, simulated(audio=missing)) as bed:
        worst = found(await bed.tests_itself(Part.MICROPHONE, Part.SPEAKER))
        assert worst[Part.MICROPHONE] == (FAULT, "device_missing")
        assert worst[Part.SPEAKER] == (SKIPPED, "device_off")


async def test_a_speaker_that_stalls_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "DEVICES_TIMEOUT_S", 1.0)
    async with running(tmp_path, simulated()) as bed:
        bed.breaks("speaker", "stalled")
        worst = found(await bed.tests_itself(Part.MICROPHONE, Part.SPEAKER))
        assert worst[Part.SPEAKER][0] is FAULT
        assert worst[Part.SPEAKER][1] in ("speaker_takes_nothing", "device_fault")
        assert worst[Part.MICROPHONE][0] is OK


# -- around


async def test_the_desk_the_time_and_the_ticket_are_in_order(tmp_path: Path, desk: RunningDesk) -> None:
    settings_folder = tmp_path / "bed"
    settings_folder.mkdir()
    write_secret(settings_folder / "user_sig", desk.ticket(BED))
    async with running(settings_folder, bed_settings(desk.ws_url), user_sig=lambda: desk.ticket(BED)) as bed:
        await bed.bed.shows("ready")
        report = await bed.tests_itself(Part.DESK, Part.TIME, Part.TURN, Part.DISK)
        assert [each.code for each in of(report, Part.DESK)] == ["desk_ok", "user_sig_ok"]
        assert of(report, Part.DESK)[1].figures["days"] == 179
        assert found(report)[Part.TIME][1] in ("time_ok", "time_right_not_kept")
        assert of(report, Part.TIME)[0].figures["skew_s"] == 0
        assert found(report)[Part.TURN] == (SKIPPED, "turn_none")
        assert found(report)[Part.DISK][0] in (OK, WARNING)


async def test_a_desk_that_is_away_and_a_missing_ticket_are_named(tmp_path: Path) -> None:
    async with running(tmp_path, bed_settings()) as bed:
        await bed.bed.shows("no_link")
        report = await bed.tests_itself(Part.DESK, Part.TURN)
        login, ticket = of(report, Part.DESK)
        assert (login.verdict, login.code) == (FAULT, "desk_unreachable")
        assert "Connect call failed" in str(login.figures["why"])
        assert (ticket.verdict, ticket.code) == (FAULT, "user_sig_unreadable")
        assert found(report)[Part.TURN] == (SKIPPED, "turn_unknown")


async def test_a_desk_that_refuses_is_named(tmp_path: Path, desk: RunningDesk) -> None:
    expired = desk.ticket(BED, ttl_s=-1)
    write_secret(tmp_path / "user_sig", expired)
    async with running(tmp_path, bed_settings(desk.ws_url), user_sig=lambda: expired) as bed:
        await bed.bed.shows("not_registered")
        login, ticket = of(await bed.tests_itself(Part.DESK), Part.DESK)
        assert (login.verdict, login.code) == (FAULT, "desk_refuses")
        assert "expired" in str(login.figures["why"])
        assert (ticket.verdict, ticket.code) == (FAULT, "user_sig_expired")


async def test_a_turn_server_that_is_dead_is_named(tmp_path: Path) -> None:
    made = simulated(media=settings.Media(ice_servers=("turn:127.0.0.1:1?transport=tcp",), relay_only=True))
    async with running(tmp_path, made) as bed:
        (finding,) = (await bed.tests_itself(Part.TURN)).findings
        assert (finding.verdict, finding.code) == (FAULT, "turn_all_silent")
        assert "turn:127.0.0.1:1" in str(finding.figures["servers"])


async def test_a_network_without_a_cable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "interfaces", lambda: (Interface("eth0", (), up=False),))
    made = msgspec.structs.replace(
        bed_settings(), signaling=settings.Signaling(url="wss://desk.invalid/ws", user_id=BED)
    )
    async with running(tmp_path, made) as bed:
        assert found(await bed.tests_itself(Part.NETWORK))[Part.NETWORK] == (FAULT, "network_down")


async def test_a_journal_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    async with running(tmp_path, bed_settings()) as bed:
        journal = tmp_path / "state"
        await until(journal.exists)
        bed.bed.call.press()
        await bed.bed.shows("use_other_bell")
        bed.bed.call.release()
        (journal / "journal").unlink(missing_ok=True)
        (journal / "journal").mkdir()
        await asyncio.to_thread(bed.bed.attend.tap)
        await bed.bed.shows("no_link")
        async with asyncio.timeout(HANG_S):
            while not (await bed.client.state()).devices.journal:
                continue
        (finding,) = (await bed.tests_itself(Part.DISK)).findings
        assert (finding.verdict, finding.code) == (FAULT, "disk_fault")


# -- who needs the bed goes first


@pytest.mark.promise("R07")
@pytest.mark.parametrize("moment", ["lamp", "capture"])
async def test_a_press_ends_the_test_at_once_and_is_a_press(tmp_path: Path, moment: str) -> None:
    async with running(tmp_path, simulated()) as bed:
        devices = bed.bed.devices
        part = Part.LAMP if moment == "lamp" else Part.CAMERA
        await bed.client.say(messages.RunSelfTest(parts=(part,), ask=True))
        if moment == "lamp":
            assert isinstance(await bed.hears(), messages.Question)
        else:
            assert devices.microphone is not None
            await until(lambda: devices.microphone.moved_at > 0, "it captures")  # type: ignore[union-attr]
        bed.bed.call.press()
        await bed.bed.shows("use_other_bell")
        bed.bed.call.release()
        refused = await bed.hears()
        assert isinstance(refused, messages.Refused)
        assert refused.code is Refusal.INTERRUPTED
        await until(lambda: devices.lamp.lit, "the lamp shows the press")
        assert history.read(tmp_path / "state") == (), "half a test is none"
        assert await bed.is_refused() is Refusal.IN_USE


async def test_a_relay_that_was_tested_serves_the_press(tmp_path: Path) -> None:
    async with running(tmp_path, simulated()) as bed:
        await bed.client.say(messages.RunSelfTest(parts=(Part.RELAY,), relay=True, ask=True))
        assert isinstance(await bed.hears(), messages.Question)
        assert bed.bed.relay_closed
        bed.bed.call.press()
        await bed.bed.shows("use_other_bell")
        assert isinstance(await bed.hears(), messages.Refused)
        assert bed.bed.relay_closed, "nobody can be reached: now it is the patient's"
        bed.bed.call.release()
        await asyncio.to_thread(bed.bed.attend.tap)
        await until(lambda: not bed.bed.relay_closed)


@pytest.mark.promise("R06")
async def test_nothing_is_captured_but_while_the_lamp_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, simulated()) as bed:
        devices = bed.bed.devices
        assert devices.microphone is not None
        assert devices.camera is not None
        lit_at: list[bool] = []

        def watched(act: Callable[..., None]) -> Callable[..., None]:
            def acts(*arguments: Any) -> None:
                lit_at.append(devices.lamp.lit)
                act(*arguments)
                lit_at.append(devices.lamp.lit)

            return acts

        for device in (devices.microphone, devices.camera):
            monkeypatch.setattr(device, "open", watched(device.open))
            monkeypatch.setattr(device, "close", watched(device.close))
        report = await bed.tests_itself(Part.MICROPHONE, Part.CAMERA)
        assert report.verdict is OK
        assert len(lit_at) >= 8
        assert all(lit_at)
        assert not devices.lamp.lit


@pytest.mark.promise("R06")
async def test_nothing_is_captured_when_somebody_has_looked_and_the_lamp_is_dark(tmp_path: Path) -> None:
    async with running(tmp_path, simulated()) as bed:
        await bed.client.say(messages.RunSelfTest(parts=(Part.LAMP, Part.MICROPHONE, Part.CAMERA), ask=True))
        assert isinstance(await bed.hears(), messages.Question)
        await bed.client.say(messages.Looked(yes=False))
        told = [await bed.hears() for _ in range(4)]
        codes = [each.finding.code for each in told if isinstance(each, messages.Found)]
        assert codes == ["lamp_seen_dark", "device_needs_lamp", "device_needs_lamp"]
        assert bed.bed.devices.microphone is not None
        assert bed.bed.devices.microphone.moved_at == 0, "it was never open"


@pytest.mark.promise("R06")
@pytest.mark.parametrize("how", ["shorted-low", "shorted-high"])
async def test_nothing_is_captured_by_a_lamp_that_shows_nothing_though_nobody_tested_it(
    tmp_path: Path, how: str
) -> None:
    async with running(tmp_path, simulated()) as bed:
        bed.breaks("lamp", how)
        report = await bed.tests_itself(Part.MICROPHONE)
        assert [finding.code for finding in report.findings] == ["device_needs_lamp"]
        assert bed.bed.devices.microphone is not None
        assert bed.bed.devices.microphone.moved_at == 0


async def test_what_the_bed_wants_to_show_meanwhile_is_shown_when_the_lamp_is_given_back() -> None:
    pins_here = simulated_pins()
    lamp = GpioLamp(18, factory=pins_here)
    shared = SharedLamp(lamp)
    shared.borrow(LampPattern.ON)
    shared.show(LampPattern.OFF)
    assert shared.lit, "a link that goes while the devices are open"
    shared.give_back()
    assert not shared.lit
    shared.show(LampPattern.ON)
    shared.give_back()
    assert shared.lit
    shared.close()
    pins_here.close()


async def test_only_one_test_runs_at_a_time(tmp_path: Path) -> None:
    async with running(tmp_path, simulated()) as bed:
        await bed.client.say(messages.RunSelfTest(parts=(Part.LAMP,), ask=True))
        assert isinstance(await bed.hears(), messages.Question)
        async with bed_at(path_of(bed.bed.settings, tmp_path)) as other:
            assert other is not None
            assert (await other.state()).testing
            await other.say(messages.RunSelfTest())
            refused = await other.hear()
            assert isinstance(refused, messages.Refused)
            assert refused.code is Refusal.BUSY
        await bed.client.say(messages.Looked(yes=False))
        assert isinstance(await bed.hears(), messages.Found)
        assert isinstance(await bed.hears(), messages.SelfTested)


async def test_a_call_may_follow_at_once_with_the_same_devices(tmp_path: Path) -> None:
    async with running(tmp_path, simulated()) as bed:
        for _ in range(2):
            report = await bed.tests_itself(Part.SPEAKER, Part.CAMERA)
            assert report.verdict is OK


async def test_the_press_that_is_waited_for_is_found_and_calls_for_help(tmp_path: Path) -> None:
    async with running(tmp_path, simulated()) as bed:
        await bed.client.say(messages.RunSelfTest(parts=(Part.DISK,), press=True))
        while not isinstance(await bed.hears(), messages.PressNow):
            continue
        bed.bed.call.press()
        found_it = await bed.hears()
        assert isinstance(found_it, messages.Found)
        assert (found_it.finding.part, found_it.finding.code) == (Part.BUTTON, "button_pressed")
        report = await bed.hears()
        assert isinstance(report, messages.SelfTested)
        assert history.read(tmp_path / "state") == (report.report,)
        await bed.bed.shows("use_other_bell")
        bed.bed.call.release()
        state = await bed.client.state()
        assert state.request is not None
        assert state.request.presses == 1


async def test_a_press_that_does_not_come_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "PRESS_WITHIN_S", 0.1)
    async with running(tmp_path, simulated()) as bed:
        report = await bed.tests_itself(Part.LAMP, press=True)
        assert (report.findings[-1].verdict, report.findings[-1].code) == (FAULT, "button_not_pressed")


# -- the state


async def test_the_state_tells_link_request_devices_and_buttons(tmp_path: Path, desk: RunningDesk) -> None:
    async with running(tmp_path, simulated(desk.ws_url), user_sig=lambda: desk.ticket(BED)) as bed:
        await bed.bed.shows("ready")
        state = await bed.client.state()
        assert (state.link, state.link_trouble, state.request, state.calls) == ("up", "", None, ())
        assert (state.user_id, state.lamp, state.relay, state.testing) == (BED, False, False, False)
        assert (state.camera, state.microphone) == ("moving test picture", "simulated room")
        assert [button.name for button in state.buttons] == ["call", "cancel", "attend"]
        assert state.levels == messages.Levels(), "nothing is open"
        bed.bed.call.press()
        await bed.bed.shows("queued")
        state = await bed.client.state()
        assert state.request is not None
        assert (state.request.state, state.request.presses, state.request.place) == ("queued", 1, 1)
        assert state.buttons[0].down
        assert state.buttons[0].pressed_ago is not None
        assert state.shown == words(View(LampSign.WAITING, "queued", 1), bed.bed.settings.bed.language)
        bed.bed.call.release()


async def test_a_bed_without_its_desk_says_why(tmp_path: Path) -> None:
    async with running(tmp_path, bed_settings()) as bed:
        await bed.bed.shows("no_link")
        state = await bed.client.state()
        assert state.link == "down"
        assert "Connect call failed" in state.link_trouble
