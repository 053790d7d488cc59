"""In Chromium: pictures received over one or more connections, and the codes read in each that is painted."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Page

import kiosk.desk
from kiosk.bench.chromium import READ_CODE, page_says

REPEATS = Path(kiosk.desk.__file__).parent / "page" / "repeats.js"
FROZEN_OVER_MS = 150.0
"""W3C's definition (webrtc-stats, freezeCount): a gap this much longer than the usual one."""

WATCH = """async ([sdp, at, talks, repeats]) => {
  const shown = (window.shown ??= []);
  const video = document.createElement('video');
  video.autoplay = video.muted = true;
  document.body.append(video);
  const pc = new RTCPeerConnection();
  const one = (shown[at] = { pc, seen: [] });
  const read = READ_CODE;
  const painted = (now) => {
    one.seen.push([now, at === 0 ? read(video) : null]);
    video.requestVideoFrameCallback(painted);
  };
  video.requestVideoFrameCallback(painted);
  pc.ontrack = ({ track }) => { if (track.kind === 'video') video.srcObject = new MediaStream([track]); };
  if (repeats) {
    const { awaitRepeats } = await import('data:text/javascript,' + encodeURIComponent(repeats));
    awaitRepeats(pc);
  }
  await pc.setRemoteDescription({ type: 'offer', sdp });
  if (talks) {
    const context = (one.context = new AudioContext());
    const source = new ConstantSourceNode(context, { offset: 0 });
    const silence = new MediaStreamAudioDestinationNode(context);
    source.connect(silence);
    source.start();
    for (const transceiver of pc.getTransceivers()) {
      if (transceiver.receiver.track.kind !== 'audio') continue;
      transceiver.direction = 'sendrecv';
      await transceiver.sender.replaceTrack(silence.stream.getAudioTracks()[0]);
    }
  }
  await pc.setLocalDescription(await pc.createAnswer());
  await new Promise((done) => {
    if (pc.iceGatheringState === 'complete') done();
    pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done();
  });
  return pc.localDescription.sdp;
}""".replace("READ_CODE", READ_CODE)
STATS = """async () => {
  const reports = await shown[0].pc.getStats();
  for (const report of reports.values()) {
    if (report.type === 'inbound-rtp' && report.kind === 'video') {
      return { ...report, mimeType: reports.get(report.codecId)?.mimeType ?? '' };
    }
  }
  return {};
}"""
CLOSE = """() => {
  for (const { pc, context } of shown) { pc.close(); context?.close(); }
  window.shown = [];
  document.body.replaceChildren();
}"""


@dataclass(frozen=True)
class Shown:
    """What the first viewer saw in *seconds*."""

    seconds: float
    codes_per_s: float
    frozen_s: float
    longest_ms: float
    megabits_per_s: float
    keyframes: int
    lost: int
    codec: str
    glass_ms: Sequence[float] = ()
    """From each picture's filming to its first painting."""


async def watch(page: Page, sdp: str, at: int, *, talks: bool = False, awaits_repeats: bool = False) -> str:
    """Show what *sdp* offers as viewer number *at*; returns the answer.

    *talks*: it sends sound, as every seat does; *awaits_repeats*: it holds pictures back as the seat page does.
    """
    repeats = REPEATS.read_text(encoding="utf-8") if awaits_repeats else ""
    return str(await page.evaluate(WATCH, [sdp, at, talks, repeats]))


async def seen(page: Page, viewer: int = 0) -> int:
    """How many pictures *viewer* has painted."""
    return int(await page.evaluate(f"shown[{viewer}].seen.length"))


async def codes_read(page: Page, begin: int, count: int, seconds: float) -> None:
    """Wait until the first viewer has read *count* codes since picture *begin*. Raises :exc:`KioskError`."""
    codes = f"new Set(shown[0].seen.slice({begin}).map((one) => one[1]).filter((code) => code !== null)).size"
    await page_says(page, f"{codes} >= {count}", seconds)


async def stats(page: Page) -> dict[str, Any]:
    """What Chromium counts of the first viewer's pictures."""
    return dict(await page.evaluate(STATS))


async def close(page: Page) -> None:
    """End all of them."""
    await page.evaluate(CLOSE)


async def shown_since(
    page: Page,
    begin: int,
    before: dict[str, Any],
    seconds: float,
    *,
    filmed_at: Mapping[int, float],
    delays_from_s: float = 0.0,
) -> Shown:
    """What was seen in the last *seconds*, since *begin* pictures were painted and Chromium counted *before*.

    *filmed_at*: when the picture of each code was filmed (Unix s). Delays count *delays_from_s* later.
    """
    painted: list[tuple[float, int | None]] = (await page.evaluate("shown[0].seen"))[max(0, begin - 1) :]
    origin_ms = float(await page.evaluate("performance.timeOrigin"))
    after = await stats(page)
    times = [at for at, _ in painted]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]

    def counted(name: str) -> float:
        return float(after.get(name) or 0) - float(before.get(name) or 0)

    return Shown(
        seconds,
        len({code for _, code in painted if code is not None}) / seconds,
        frozen_ms(gaps, seconds) / 1000,
        max(gaps, default=seconds * 1000),
        counted("bytesReceived") * 8 / seconds / 1e6,
        int(counted("keyFramesDecoded")),
        int(counted("packetsLost")),
        str(after.get("mimeType") or ""),
        glass_to_glass(
            [(at, code) for at, code in painted if at - painted[0][0] >= 1000 * delays_from_s],
            {code: 1000 * at - origin_ms for code, at in filmed_at.items()},
        ),
    )


def glass_to_glass(painted: Sequence[tuple[float, int | None]], filmed: Mapping[int, float]) -> list[float]:
    """How long each code that is *filmed* took until it was first *painted*; one clock, ms."""
    first: dict[int, float] = {}
    for at, code in painted:
        if code is not None:
            first.setdefault(code, at)
    return [at - filmed[code] for code, at in first.items() if code in filmed]


def frozen_ms(gaps: Sequence[float], seconds: float) -> float:
    """How long the picture stood, of gaps in ms between paintings, within *seconds*."""
    if not gaps:
        return seconds * 1000
    limit = max(3 * statistics.mean(gaps), statistics.mean(gaps) + FROZEN_OVER_MS)
    return sum(gap for gap in gaps if gap > limit) + max(0.0, seconds * 1000 - sum(gaps) - limit)
