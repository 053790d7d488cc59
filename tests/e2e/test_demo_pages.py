"""``kiosk demo`` from the outside: its two pages, the browser it opens or does not, and how it ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.children import children
from tests.e2e.conftest import Seat
from tests.waiting import HANG_S, until

pytestmark = pytest.mark.browser

HANG_MS = HANG_S * 1000
LAST_LINE = "Ctrl-C ends the demo"


class Demo:
    """A running ``kiosk demo``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.process: asyncio.subprocess.Process | None = None

    async def starts(self, *arguments: str, **environment: str) -> None:
        """Start at free ports; without a display unless *environment* has one. *folder* holds what it leaves."""
        display = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "kiosk", "demo", "--port", str(free_ports()), *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name not in display}
            | {"TMPDIR": str(self.folder)}
            | environment,
        )
        await self.says(LAST_LINE)

    async def says(self, words: str) -> None:
        """Read on until a line has *words*."""
        assert self.process is not None
        assert self.process.stdout is not None
        async with asyncio.timeout(HANG_S):
            while True:
                line = (await self.process.stdout.readline()).decode()
                assert line, f"the demo ended without saying {words!r}: {self.said}"
                self.said.append(line)
                if words in line:
                    return

    def address(self, of: str) -> str:
        line = next(line for line in self.said if line.startswith(of))
        return line.split()[-1]

    def desk(self) -> int:
        """The process of its desk."""
        assert self.process is not None
        (desk,) = children(self.process.pid)
        return desk

    async def ends(self, how: signal.Signals = signal.SIGINT) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(how)
            await asyncio.wait_for(self.process.communicate(), HANG_S)


def free_ports() -> int:
    """A port that is free together with the next one."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Demo]:
    demo = Demo(tmp_path)
    try:
        yield demo
    finally:
        await demo.ends()


async def opens(browser: Any, address: str, **context: Any) -> Page:
    opened = await browser.new_context(**({"locale": "en-GB"} | context))
    page: Page = await opened.new_page()
    await page.goto(address)
    return page


async def tells(page: Page, prompt: str) -> None:
    await expect(page.get_by_test_id("told")).to_have_attribute("data-prompt", prompt, timeout=HANG_MS)


async def presses(page: Page, button: str) -> None:
    """Long enough for the bed's debounce, as a finger is."""
    await page.get_by_test_id(button).click(delay=100)


async def test_a_press_in_the_bedside_view_is_answered_at_the_seat(demo: Demo, browser: Any) -> None:
    await demo.starts("--no-browser")
    bed = await opens(browser, demo.address("Bedside view"))
    other = await opens(browser, demo.address("Bedside view"), locale="zh-CN")
    seat = Seat(await opens(browser, demo.address("Seat page")))
    await seat.is_("free")
    await tells(bed, "ready")
    await expect(bed.get_by_role("img", name="Lamp: off")).to_be_visible()
    await presses(bed, "call-button")
    await tells(bed, "ringing")
    await expect(bed.get_by_role("img", name="Lamp: on")).to_be_visible()
    await expect(other.get_by_test_id("told")).to_have_text("正在呼叫护士。")
    await seat.answers()
    await tells(bed, "talking")
    # Two pages look at the same pictures.
    for page in (bed, other):
        await expect(page.get_by_test_id("picture")).to_be_visible(timeout=HANG_MS)
        await expect(page.get_by_test_id("no-picture")).to_be_hidden()
    await expect(bed.get_by_test_id("level")).not_to_have_js_property("value", -60, timeout=HANG_MS)
    await presses(bed, "cancel-button")
    await tells(bed, "answered")
    await expect(bed.get_by_test_id("picture")).to_be_hidden()
    await expect(bed.get_by_test_id("level")).to_have_js_property("value", -60)
    await presses(bed, "attend-button")
    await tells(bed, "ready")
    await seat.nobody_waits()


async def test_the_bedside_view_shows_that_the_other_bell_rings_when_the_desk_is_gone(
    demo: Demo, browser: Any
) -> None:
    await demo.starts("--no-browser")
    bed = await opens(browser, demo.address("Bedside view"))
    await tells(bed, "ready")
    relay = bed.get_by_test_id("relay")
    await expect(relay).to_have_attribute("data-relay", "open")
    os.kill(demo.desk(), signal.SIGKILL)
    await tells(bed, "no_link")
    await expect(relay).to_have_attribute("data-relay", "open")
    await presses(bed, "call-button")
    await tells(bed, "use_other_bell")
    await expect(relay).to_have_text(re.compile("the other bell rings"))
    await presses(bed, "attend-button")
    await expect(relay).to_have_attribute("data-relay", "open")


async def test_the_bedside_view_can_be_pressed_by_keyboard_and_changes_its_language(
    demo: Demo, browser: Any
) -> None:
    await demo.starts("--no-browser")
    bed = await opens(browser, demo.address("Bedside view"), viewport={"width": 390, "height": 844})
    await tells(bed, "ready")
    await bed.get_by_test_id("language").press("Enter")
    await expect(bed.get_by_role("button", name="呼叫")).to_be_visible()
    assert await bed.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await bed.get_by_test_id("call-button").press("Space", delay=100)
    await tells(bed, "queued")


async def test_a_bedside_view_closed_with_the_finger_down_lifts_it(demo: Demo, browser: Any) -> None:
    await demo.starts("--no-browser")
    first = await opens(browser, demo.address("Bedside view"))
    await tells(first, "ready")
    await first.get_by_test_id("call-button").hover()
    await first.mouse.down()
    await tells(first, "queued")
    await first.close()
    second = await opens(browser, demo.address("Bedside view"))
    await presses(second, "attend-button")
    await tells(second, "ready")
    await presses(second, "call-button")
    await tells(second, "queued")


async def test_the_bedside_view_says_that_the_demo_has_ended(demo: Demo, browser: Any) -> None:
    await demo.starts("--no-browser")
    bed = await opens(browser, demo.address("Bedside view"))
    await tells(bed, "ready")
    await demo.ends()
    await expect(bed.get_by_test_id("told")).to_have_text("The demo has ended.", timeout=HANG_MS)
    await expect(bed.get_by_test_id("call-button")).to_be_disabled()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_a_demo_that_is_told_to_stop_takes_its_desk_and_its_folder_with_it(
    demo: Demo, how: signal.Signals
) -> None:
    await demo.starts("--no-browser")
    port = int(re.findall(r":(\d+)/", demo.address("Seat page"))[0])
    assert list(demo.folder.glob("kiosk-demo-*"))
    await demo.ends(how)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    assert not list(demo.folder.glob("kiosk-demo-*"))


def a_browser(folder: Path, name: str) -> Path:
    """A program that notes what it is asked to open, and then stays, as a text browser does."""
    program = folder / "bin" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\necho "$1" >> "{folder}/opened"\nexec tail --pid="$PPID" -f /dev/null\n')
    program.chmod(0o755)
    return program


def opened(folder: Path) -> list[str]:
    path = folder / "opened"
    return sorted(path.read_text().split()) if path.exists() else []


async def test_without_a_display_no_text_browser_is_opened_and_the_demo_says_so(demo: Demo) -> None:
    program = a_browser(demo.folder, "lynx")
    await demo.starts(PATH=f"{program.parent}:{os.environ['PATH']}")
    await demo.says("No browser was opened here")
    assert opened(demo.folder) == []


async def test_a_browser_that_blocks_does_not_hold_the_demo_up(demo: Demo, browser: Any) -> None:
    program = a_browser(demo.folder, "some-browser")
    await demo.starts(DISPLAY=":99", BROWSER=str(program))
    pages = sorted([demo.address("Seat page"), demo.address("Bedside view")])
    await until(lambda: opened(demo.folder) == pages, "both pages are opened")
    bed = await opens(browser, demo.address("Bedside view"))
    await tells(bed, "ready")
