"""A real Chromium as the seat, driven by Playwright: for benchmarks and end-to-end tests.

Debian's Chromium, headless. Its fake devices stand in for the nurse's microphone (a tone of ``SEAT_HZ``) and
camera; loopback is allowed for WebRTC, since everything runs on one machine.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from playwright.async_api import Browser, Page, async_playwright

from kiosk.errors import KioskError
from kiosk.hardware.microphone import SAMPLE_RATE

SEAT_HZ = 660.0
TONE_S = 10
START_TIMEOUT_MS = 60_000
LOOK_AGAIN_S = 0.01

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
)
GRANTED = "--use-fake-ui-for-media-stream"
SOUNDING = "--autoplay-policy=no-user-gesture-required"


@asynccontextmanager
async def chromium(
    folder: Path, *, permission: bool = True, sounding: bool = True, trusts_anybody: bool = False
) -> AsyncIterator[Browser]:
    """A browser; *permission* grants microphone and camera without asking, *sounding* lets pages sound before the
    first click, *trusts_anybody* takes any certificate. Raises :exc:`KioskError`.
    """
    program = shutil.which("chromium")
    if program is None:
        raise KioskError("Chromium is missing: apt install chromium")
    tone = folder / "seat-tone.wav"
    _write_tone(tone)
    arguments = [*QUIET, f"--use-file-for-fake-audio-capture={tone}"]
    if permission:
        arguments.append(GRANTED)
    if trusts_anybody:
        arguments.append("--ignore-certificate-errors")
    if sounding:
        arguments.append(SOUNDING)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=arguments, timeout=START_TIMEOUT_MS
        )
        try:
            yield browser
        finally:
            await browser.close()


async def page_says(page: Page, expression: str, seconds: float) -> None:
    """Wait until *expression* is true in *page*. Raises :exc:`KioskError` after *seconds*.

    Playwright's own ``wait_for_function`` evaluates strings in the page, which the desk's content security policy
    rightly forbids.
    """
    end = time.monotonic() + seconds
    while not await page.evaluate(f"Boolean({expression})"):
        if time.monotonic() > end:
            raise KioskError(f"not within {seconds:.0f} s at the seat: {expression}")
        await asyncio.sleep(LOOK_AGAIN_S)


def _write_tone(path: Path) -> None:
    at = np.arange(TONE_S * SAMPLE_RATE) / SAMPLE_RATE
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.sin(2 * np.pi * SEAT_HZ * at) * 9000).astype(np.int16).tobytes())


READ_CODE = """(video) => {
  video ??= document.getElementById('remote-video');
  if (!video.videoWidth) return null;
  const cells = (window.codeCells ??= new OffscreenCanvas(24, 1).getContext('2d', { willReadFrequently: true }));
  cells.imageSmoothingEnabled = false;  // the nearest point: a cell's middle
  const row = Math.floor(Math.floor(video.videoHeight / 8) / 2);
  cells.drawImage(video, 0, row, video.videoWidth, 1, 0, 0, 24, 1);
  const points = cells.getImageData(0, 0, 24, 1).data;
  const bits = Array.from({ length: 24 }, (_, cell) => (points[4 * cell + 1] > 128 ? 1 : 0));
  if (bits[0] !== 1 || bits[1] !== 0 || bits[22] !== 0 || bits[23] !== 1) return null;
  const number = (from, to) => bits.slice(from, to).reduce((sum, bit) => sum * 2 + bit, 0);
  const counter = number(2, 18);
  let sum = 0;
  for (let shift = 0; shift < 16; shift += 4) sum += (counter >> shift) & 15;
  return sum % 16 === number(18, 22) ? counter : null;
}"""
"""In the page: the counter in *video*, or in the remote one (:mod:`kiosk.hardware.moving_picture`); null: none."""


def hear_tone(video: str = "#remote-video") -> str:
    """In the page: the strongest tone of the sound of *video* (a CSS selector) in so many ms, as [Hz, dB]."""
    return """async (milliseconds) => {
  const stream = document.querySelector(VIDEO).srcObject;
  const context = new AudioContext();
  const meter = new AnalyserNode(context, { fftSize: 16384, smoothingTimeConstant: 0 });
  new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(meter);
  await new Promise((done) => setTimeout(done, milliseconds));
  const bins = new Float32Array(meter.frequencyBinCount);
  meter.getFloatFrequencyData(bins);
  let best = 2;
  for (let bin = 2; bin < bins.length; bin++) if (bins[bin] > bins[best]) best = bin;
  const hz = best * context.sampleRate / meter.fftSize;
  await context.close();
  return [hz, bins[best]];
}""".replace("VIDEO", json.dumps(video))
