"""``kiosk check`` as a technician meets it: real processes, a real sound card, a real desk, a real call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from kiosk import settings
from kiosk.check.findings import Finding, Part, Report, Verdict
from kiosk.control.address import path_of
from kiosk.demo.ward import Ward
from kiosk.hardware.sound import SAMPLE_RATE
from kiosk.settings import Settings
from tests.e2e.conftest import Bed, Hospital, SignIn, ward_settings
from tests.e2e.test_commands import kiosk, mistake, told
from tests.pulse import PulseRig
from tests.waiting import HANG_S, until

EXIT_FAULT, EXIT_ERROR, EXIT_NEEDED, EXIT_INTERRUPTED = 1, 2, 3, 130
CHECK_S = 90.0
"""A limit against hanging: a whole test takes eight."""
SIMULATED = settings.Audio(microphone="room", speaker="simulated", night="none")


class Result(msgspec.Struct):
    """What ``--json`` prints."""

    verdict: Verdict
    report: Report | None = None
    sentences: tuple[str, ...] = ()
    refused: str | None = None
    state: dict[str, Any] | None = None

    def of(self, part: Part) -> Finding:
        """The worst finding of *part*."""
        assert self.report is not None
        order = [Verdict.SKIPPED, Verdict.OK, Verdict.WARNING, Verdict.FAULT]
        about = [finding for finding in self.report.findings if finding.part is part]
        return max(about, key=lambda finding: order.index(finding.verdict))

    @property
    def faults(self) -> set[Part]:
        """The parts that are at fault."""
        assert self.report is not None
        return {finding.part for finding in self.report.findings if finding.verdict is Verdict.FAULT}


async def checked(settings_file: Path, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, Result]:
    """What ``kiosk check --json`` says, and its exit status."""
    async with kiosk("check", "--settings", settings_file, "--json", *arguments, env=env) as command:
        status, output, errors = await command.ends(CHECK_S)
    assert "Traceback" not in errors
    return status, msgspec.json.decode(output, type=Result)


@contextlib.asynccontextmanager
async def ward_with_a_desk(folder: Path, made: Settings) -> AsyncIterator[Ward]:
    """A desk that runs, and the settings and ticket of a bed that does not."""
    ward = Ward(folder / "ward", made)
    ward.prepare()
    desk = await ward.start_desk()
    try:
        ward.bed_settings(desk.url)
        (ward.folder / "state").mkdir()
        yield ward
    finally:
        await desk.stop()


@contextlib.asynccontextmanager
async def bed_of(ward: Ward) -> AsyncIterator[Bed]:
    """The ward's bed, ready, and its control socket there."""
    bed = Bed(await ward.start_bed())
    try:
        await bed.shows("ready")
        await until(path_of(ward.settings, ward.folder).exists, "the control socket")
        yield bed
    finally:
        await bed.process.stop()


# -- a bed that does not run


@pytest.mark.promise("R22")
async def test_a_bed_in_order_passes_whole_and_is_on_record(tmp_path: Path) -> None:
    async with ward_with_a_desk(tmp_path, ward_settings(audio=SIMULATED)) as ward:
        status, result = await checked(ward.bed_file)
        assert result.faults == set()
        assert status == 0
        assert result.report is not None
        assert {finding.part for finding in result.report.findings} == set(Part)
        assert result.of(Part.DESK).code == "desk_ok"
        assert result.of(Part.SPEAKER).verdict is Verdict.OK
        assert result.of(Part.RELAY).code == "relay_none"
        assert len(result.sentences) == len(result.report.findings)
        kept = (await told("check", "--settings", ward.bed_file, "--history", "--json"))[1]
        assert msgspec.json.decode(kept, type=tuple[Report, ...]) == (result.report,)


BROKEN = [
    ("button=shorted-low", Part.BUTTON, "button_down"),
    ("lamp=shorted-low", Part.LAMP, "lamp_stays_dark"),
    ("speaker=unplugged", Part.SPEAKER, "speaker_unheard"),
    ("camera=covered", Part.CAMERA, "camera_black"),
]


@pytest.mark.promise("R22")
@pytest.mark.parametrize(("broken", "part", "code"), BROKEN)
async def test_a_simulated_part_that_is_broken_is_named(tmp_path: Path, broken: str, part: Part, code: str) -> None:
    made = ward_settings(audio=SIMULATED, relay=settings.Relay(pin=23))
    ward = Ward(tmp_path / "ward", made)
    ward.prepare()
    ward.bed_settings("http://127.0.0.1:1/")
    only = "button,lamp,relay,microphone,speaker,camera"
    status, result = await checked(ward.bed_file, "--broken", broken, "--only", only)
    assert (result.of(part).verdict, result.of(part).code) == (Verdict.FAULT, code)
    assert result.faults == {part}
    assert status == EXIT_FAULT


async def test_what_is_around_a_bed_is_named_when_it_is_broken(tmp_path: Path) -> None:
    made = ward_settings(audio=SIMULATED, media=settings.Media(interfaces=("10.99.99.99",), relay_only=True))
    ward = Ward(tmp_path / "ward", made)
    ward.prepare()
    ward.bed_settings("http://127.0.0.1:1/")
    (ward.folder / "user_sig").chmod(0o644)
    status, result = await checked(ward.bed_file, "--only", "network,desk,turn,disk")
    assert result.of(Part.NETWORK).code == "network_address_missing"
    assert result.of(Part.DESK).code == "desk_unreachable"
    assert any("can be read by others" in sentence for sentence in result.sentences)
    assert result.of(Part.TURN).code == "turn_needed"
    assert result.of(Part.DISK).code == "disk_fault"
    assert "kiosk run makes it at its first start" in str(result.of(Part.DISK).figures["why"])
    assert (status, result.faults) == (EXIT_FAULT, {Part.NETWORK, Part.DESK, Part.TURN, Part.DISK})
    assert not (ward.folder / "state").exists(), "a check by root makes no folder that the bed could not use"


async def test_a_ticket_that_the_desk_does_not_take_is_named(tmp_path: Path) -> None:
    async with ward_with_a_desk(tmp_path, ward_settings(audio=SIMULATED)) as ward:
        registry = ward.registry()
        settings.write_secret(ward.folder / "user_sig", registry.issue("bed-301-9", now=0))
        _, result = await checked(ward.bed_file, "--only", "desk")
        assert [finding.code for finding in result.report.findings] == [  # type: ignore[union-attr]
            "desk_refuses",
            "user_sig_expired",
        ]


async def test_without_pins_it_is_said_and_nothing_is_captured(tmp_path: Path) -> None:
    made = ward_settings(audio=SIMULATED, buttons=settings.Buttons())
    ward = Ward(tmp_path / "ward", made)
    ward.prepare()
    ward.bed_settings("http://127.0.0.1:1/")
    status, result = await checked(ward.bed_file, "--only", "button,lamp,camera,disk")
    assert result.of(Part.BUTTON).code == result.of(Part.LAMP).code == "pins_unusable"
    assert result.of(Part.CAMERA).code == "device_needs_lamp"
    assert status == EXIT_FAULT


# -- what is read on the screen


async def test_what_is_found_is_told_in_the_beds_language(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "ward", ward_settings(audio=SIMULATED))
    ward.prepare()
    ward.bed_settings("http://127.0.0.1:1/")
    _, english, _ = await told("check", "--settings", ward.bed_file, "--only", "lamp,disk")
    assert "No kiosk runs with these settings" in english
    assert re.search(r"^  lamp +in order +its pin follows", english, re.MULTILINE)
    assert english.endswith("There are faults.\n")
    chinese = Ward(ward.folder, msgspec.structs.replace(ward.settings, bed=settings.Bed(language="zh")))
    chinese.bed_settings("http://127.0.0.1:1/")
    _, output, _ = await told("check", "--settings", ward.bed_file, "--only", "lamp,disk")
    assert re.search(r"^  指示灯 +正常 +引脚响应正常", output, re.MULTILINE)
    assert output.endswith("存在故障。\n")
    _, history, _ = await told("check", "--settings", ward.bed_file, "--history")
    assert history == "没有自检记录。\n", "there is no folder to keep any in"


@pytest.mark.parametrize(
    ("typed", "status", "words"),
    [
        (b"y\n", 0, "lights, and goes out"),
        (b"n\n", EXIT_FAULT, "nobody saw light"),
        (b"what?\n", 0, "whether it gives light nobody was asked"),
        (None, EXIT_INTERRUPTED, ""),
    ],
)
async def test_whoever_sits_at_a_terminal_is_asked_whether_the_lamp_gives_light(
    tmp_path: Path, typed: bytes | None, status: int, words: str
) -> None:
    """The terminal's interrupt key ends it at once, also while it waits for an answer."""
    ward = Ward(tmp_path / "ward", ward_settings(audio=SIMULATED))
    ward.prepare()
    ward.bed_settings("http://127.0.0.1:1/")
    keyboard, terminal = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kiosk", "check", "--settings", str(ward.bed_file), "--only", "lamp"),
            stdin=terminal,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(CHECK_S):
            await process.stdout.readuntil(b"[y/n] ")
            if typed is None:
                process.send_signal(signal.SIGINT)
            else:
                os.write(keyboard, typed)
            output, _ = await process.communicate()
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert process.returncode == status
    assert words in output.decode()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--only", "engine"), "allowed are button, lamp, relay"),
        (("--broken", "camera=on-fire"), "camera cannot be 'on-fire': use clear, covered"),
        (("--broken", "engine"), "'engine' is no simulated part here: there are button, lamp"),
    ],
)
async def test_a_wrong_wish_is_refused_in_words(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    path = tmp_path / "kiosk.toml"
    path.write_text('buttons.simulated = true\nvideo.camera = "test"\n')
    status, _, errors = await told("check", "--settings", path, *arguments)
    assert (status, "Traceback" in errors) == (EXIT_ERROR, False)
    assert words in errors


async def test_only_simulated_devices_can_be_broken(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.toml"
    path.write_text("")
    assert "simulated devices only" in await mistake_after_words("--settings", path, "--broken", "lamp=mended")
    path.write_text("lamp.pin = 99")
    assert "lamp.pin = 99" in await mistake("check", "--settings", path)


async def test_one_that_is_only_to_be_asked_is_not_tested_when_it_does_not_run(tmp_path: Path) -> None:
    line = await mistake("check", "--settings", tmp_path / "kiosk.toml", "--running")
    assert "no kiosk runs with these settings" in line
    assert str(tmp_path / "state" / "control") in line


async def mistake_after_words(*arguments: str | Path) -> str:
    status, _, errors = await told("check", *arguments)
    assert status == EXIT_ERROR
    return errors.splitlines()[-1]


# -- a bed that runs


@pytest.mark.promise("R22")
async def test_a_bed_that_runs_tests_itself_and_is_not_disturbed(tmp_path: Path) -> None:
    async with ward_with_a_desk(tmp_path, ward_settings(audio=SIMULATED)) as ward, bed_of(ward) as bed:
        status, result = await checked(ward.bed_file)
        assert (status, result.faults) == (0, set())
        assert result.state is not None
        assert (result.state["link"], result.state["user_id"]) == ("up", "bed-301-2")
        bed.press("camera covered")
        bed.press("lamp shorted-low")
        async with asyncio.timeout(HANG_S):
            while result.faults != {Part.LAMP}:
                status, result = await checked(ward.bed_file, "--only", "lamp,camera")
        assert result.of(Part.CAMERA).code == "device_needs_lamp"
        bed.press("lamp mended")
        async with asyncio.timeout(HANG_S):
            while result.faults != {Part.CAMERA}:
                status, result = await checked(ward.bed_file, "--only", "lamp,camera")
        assert (status, result.of(Part.CAMERA).code) == (EXIT_FAULT, "camera_black")
        assert bed.shown()[-1] == "ready"


async def test_while_a_request_is_open_it_is_refused_in_words(tmp_path: Path) -> None:
    async with ward_with_a_desk(tmp_path, ward_settings(audio=SIMULATED)) as ward, bed_of(ward) as bed:
        bed.press()
        await bed.shows("queued")
        status, output, _ = await told("check", "--settings", ward.bed_file)
        assert status == EXIT_NEEDED
        assert "Somebody needs this bed." in output
        status, result = await checked(ward.bed_file)
        assert (status, result.refused) == (EXIT_NEEDED, "in_use")
        assert bed.shown()[-1] == "queued"


async def test_a_press_in_the_middle_goes_first(tmp_path: Path) -> None:
    async with ward_with_a_desk(tmp_path, ward_settings(audio=SIMULATED)) as ward, bed_of(ward) as bed:
        async with kiosk("check", "--settings", ward.bed_file) as command:
            await command.prints(r"lamp +in order")
            bed.press()
            status, rest, _ = await command.ends()
        assert status == EXIT_NEEDED
        assert "somebody needed this bed" in rest
        await bed.shows("queued")


async def test_the_button_is_pressed_for_the_test_and_calls_for_help(tmp_path: Path) -> None:
    async with ward_with_a_desk(tmp_path, ward_settings(audio=SIMULATED)) as ward, bed_of(ward) as bed:
        async with kiosk("check", "--settings", ward.bed_file, "--only", "disk", "--press") as command:
            await command.prints("Press the call button at the bed now")
            await command.prints("It calls for help, as every press does")
            bed.press()
            await command.prints(r"button +in order +call: the press came after")
            status, *_ = await command.ends()
        assert status == 0
        await bed.shows("queued")


async def test_a_bed_is_not_tested_behind_its_back(tmp_path: Path) -> None:
    """Two at once: the second is told so, and touches no device."""
    async with ward_with_a_desk(tmp_path, ward_settings(audio=SIMULATED)) as ward, bed_of(ward):
        async with kiosk("check", "--settings", ward.bed_file) as first:
            await first.prints("tests itself")
            await first.prints("button")
            status, result = await checked(ward.bed_file)
            assert (status, result.refused) == (EXIT_NEEDED, "busy")
            assert (await first.ends(CHECK_S))[0] == 0
        assert "break the one that runs by kiosk run --hand" in await mistake_after_words(
            "--settings", ward.bed_file, "--broken", "lamp=shorted-low"
        )


# -- a real sound card, and a real call


@pytest.mark.alsa
@pytest.mark.promise("R22")
async def test_a_real_sound_card_is_heard_through_the_room(tmp_path: Path) -> None:
    audio = settings.Audio(microphone=PulseRig.microphone, speaker=PulseRig.speaker, night="none")
    made = ward_settings(audio=audio, video=settings.Video(camera="none"))
    with PulseRig(tmp_path / "pulse") as card:
        ward = Ward(tmp_path / "ward", made)
        ward.prepare()
        ward.bed_settings("http://127.0.0.1:1/")
        only = ("--only", "microphone,speaker")
        _, result = await checked(ward.bed_file, *only, env=card.env)
        assert result.of(Part.MICROPHONE).code == "microphone_dead", "a sink that nothing plays into is silent"
        assert result.of(Part.SPEAKER).code == "speaker_unjudged"
        hiss = np.random.default_rng(1).normal(0, 30, 60 * SAMPLE_RATE).astype(np.int16)
        hissing = asyncio.create_task(asyncio.to_thread(card.play_into_microphone, hiss))
        _, result = await checked(ward.bed_file, *only, env=card.env)
        assert (result.of(Part.MICROPHONE).code, result.of(Part.SPEAKER).code) == (
            "microphone_ok",
            "speaker_unheard",
        )
        card.let_microphone_hear_speaker()
        status, result = await checked(ward.bed_file, *only, env=card.env)
        assert (status, result.faults) == (0, set())
        speaker = result.of(Part.SPEAKER)
        assert speaker.code in (
            "speaker_ok",
            "speaker_late",
        )  # a busy machine's sound server is late, and leaves out
        assert float(speaker.figures["loss_db"]) <= 20
        assert float(speaker.figures["delay_ms"]) >= 20
        hissing.cancel()


@pytest.mark.alsa
@pytest.mark.browser
async def test_in_a_call_its_quality_is_told_at_both_ends(hospital: Hospital, sign_in: SignIn) -> None:
    await hospital.opens()
    seat = await sign_in()
    hospital.bed.press()
    await seat.answers()
    await seat.hears_the_bed()
    quality = r"connection at the {}: (excellent|good|poor|bad|very bad) \([1-5]/6, .*kb/s"
    output = ""
    async with asyncio.timeout(HANG_S):
        while not all(re.search(quality.format(end), output) for end in ("bed", "seat")):
            status, output, _ = await told("check", "--settings", hospital.ward.bed_file)
            assert status == EXIT_NEEDED
    assert "In a call with nurse-1 for" in output
    _, result = await checked(hospital.ward.bed_file)
    assert result.state is not None
    assert result.state["levels"]["microphone"] > -60, "somebody hums"
    assert result.state["calls"][0]["at_bed"]["quality"] in range(1, 6)
    assert hospital.bed.shown()[-1] == "talking"
    await seat.by("hang-up").click()
