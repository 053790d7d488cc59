"""The baseline of ``kiosk bench call``: a plain aiortc offer and answer, as everybody writes it first.

aiortc's own jitter buffer; the nurse's accept begins the handshake; the bed's pictures and sound, the same browser.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiortc.rtcrtpreceiver
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.jitterbuffer import JitterBuffer
from playwright.async_api import Browser, Page

from kiosk.bench import process
from kiosk.bench.chromium import page_says
from kiosk.hardware.microphone import ToneMicrophone
from kiosk.hardware.moving_picture import MovingPicture
from kiosk.media.aiortc_private import offer_addresses
from kiosk.media.interfaces import LOOPBACK
from kiosk.media.tracks import Gate, GatedAudioTrack, GatedVideoTrack
from kiosk.settings import Video

WARM_UP_CALLS = 1
WAIT_S = 30.0
BED_HZ = 440.0

ANSWER = """async (sdp) => {
  const now = () => performance.timeOrigin + performance.now();
  const accepted = now();
  const video = document.createElement('video');
  video.autoplay = true; document.body.replaceChildren(video);
  const remote = video.srcObject = new MediaStream();
  const pc = window.pc = new RTCPeerConnection();
  window.first = {};
  pc.ontrack = ({ track }) => {
    remote.addTrack(track);
    if (track.kind === 'video') {
      video.requestVideoFrameCallback(() => { first.picture = now() - accepted; });
      return;
    }
    const context = new AudioContext();
    const meter = new AnalyserNode(context, { fftSize: 256 });
    new MediaStreamAudioSourceNode(context, { mediaStream: new MediaStream([track]) }).connect(meter);
    const samples = new Float32Array(256);
    const look = setInterval(() => {
      meter.getFloatTimeDomainData(samples);
      if (!samples.some((sample) => Math.abs(sample) > 0.003)) return;
      first.sound = now() - accepted;
      clearInterval(look); context.close();
    }, 5);
  };
  const own = await navigator.mediaDevices.getUserMedia({ audio: true });
  await pc.setRemoteDescription({ type: 'offer', sdp });
  own.getTracks().forEach((track) => pc.addTrack(track, own));
  await pc.setLocalDescription(await pc.createAnswer());
  await new Promise((done) => {
    if (pc.iceGatheringState === 'complete') done();
    pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done();
  });
  return [accepted, pc.localDescription.sdp];
}"""


@dataclass(frozen=True)
class PlainCall:
    """One call of the baseline: milliseconds from the accept, and the part of a core it took."""

    picture: float
    sound_at_the_seat: float
    sound_at_the_bed: float
    cpu: float


async def plain_calls(
    browser: Browser, page_url: str, *, calls: int, talk_s: float, video: Video
) -> list[PlainCall]:
    """Make *calls* after a warm-up, each talking for *talk_s*. The bed's side runs in this process."""
    offer_addresses(lambda: [LOOPBACK])
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(page_url)
    with aiortcs_own_buffer():
        made = [await _call(page, talk_s, video) for _ in range(WARM_UP_CALLS + calls)][WARM_UP_CALLS:]
    await context.close()
    return made


@contextmanager
def aiortcs_own_buffer() -> Iterator[None]:
    """Receivers that are made in here have the jitter buffer they would have without us."""
    names = vars(aiortc.rtcrtpreceiver)
    before = names["JitterBuffer"]
    names["JitterBuffer"] = JitterBuffer
    try:
        yield
    finally:
        names["JitterBuffer"] = before


async def _call(page: Page, talk_s: float, video: Video) -> PlainCall:
    gate = Gate()
    gate.open()
    sound, pictures = GatedAudioTrack(gate), GatedVideoTrack(gate)
    microphone = ToneMicrophone(BED_HZ)
    camera = MovingPicture(width=video.width, height=video.height, fps=video.fps)
    microphone.open(sound.deliver, lambda why: None)
    camera.open(pictures.deliver, lambda why: None)
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    heard: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    listening: list[asyncio.Task[None]] = []

    async def listen(track: Any) -> None:
        await track.recv()
        if not heard.done():
            heard.set_result(time.time())

    pc.on("track", lambda track: listening.append(asyncio.create_task(listen(track))))
    pc.addTrack(sound)
    pc.addTrack(pictures)
    began, cpu = time.monotonic(), process.own_cpu_s()
    await pc.setLocalDescription(await pc.createOffer())
    accepted, sdp = await page.evaluate(ANSWER, pc.localDescription.sdp)
    await pc.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))
    heard_at = await asyncio.wait_for(heard, WAIT_S)
    await page_says(page, "first.picture && first.sound", WAIT_S)
    await asyncio.sleep(talk_s)
    used = (process.own_cpu_s() - cpu) / (time.monotonic() - began)
    first = await page.evaluate("first")
    await page.evaluate("pc.close()")
    await asyncio.to_thread(microphone.close)
    await asyncio.to_thread(camera.close)
    await pc.close()
    await asyncio.gather(*listening, return_exceptions=True)
    return PlainCall(first["picture"], first["sound"], heard_at * 1000 - accepted, used)
