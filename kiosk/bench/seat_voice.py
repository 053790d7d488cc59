"""In Chromium: a seat that says a voice and records what it hears, with the time of each sample at mouth and ear.

One ``AudioContext`` for all connections of a page: its clock is what times are told by. The voice is made in it, so
that what was said is known to the sample; what comes is recorded as it is given to the sound card. A sample is at
the ear when ``getOutputTimestamp`` has it heard, after the sound card's own buffer (headless Chromium plays to one
that is made up, of some 40 ms).
"""

from __future__ import annotations

import base64

import numpy as np
from playwright.async_api import Page

from kiosk.bench.alignment import BLOCK, RATE, Recording
from kiosk.hardware.sound import Block

URL = "http://localhost/voice"
"""Never asked: a page must come from a safe place to record, and an empty one is put there."""

BEGIN = """async (voice) => {
  const recorder = `registerProcessor('recorder', class extends AudioWorkletProcessor {
    constructor() { super(); this.kept = new Float32Array(4800); this.filled = 0; this.first = 0; }
    process(inputs) {
      const came = inputs[0][0];
      for (let index = 0; index < 128; index++) {
        if (this.filled === 0) this.first = currentFrame + index;
        this.kept[this.filled++] = came ? came[index] : 0;
        if (this.filled === this.kept.length) {
          this.port.postMessage([this.first, this.kept]);
          this.kept = new Float32Array(4800); this.filled = 0;
        }
      }
      return true;
    }
  })`;
  const context = window.context = new AudioContext({ sampleRate: 48000 });
  await context.resume();
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([recorder], { type: 'text/javascript' })));
  window.offsets = { mouth: Infinity, ears: [] };
  setInterval(() => {
    const now = performance.timeOrigin + performance.now();
    offsets.mouth = Math.min(offsets.mouth, now - context.currentTime * 1000);
    const { contextTime, performanceTime } = context.getOutputTimestamp();
    if (contextTime > 0) offsets.ears.push(performance.timeOrigin + performanceTime - contextTime * 1000);
    if (offsets.ears.length > 500) offsets.ears.shift();
  }, 20);
  const samples = new Int16Array(Uint8Array.from(atob(voice), (byte) => byte.charCodeAt(0)).buffer);
  const buffer = context.createBuffer(1, samples.length, 48000);
  buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32768), 0);
  const source = new AudioBufferSourceNode(context, { buffer, loop: true });
  const mouth = window.mouth = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  source.connect(mouth);
  window.saidFrom = context.currentTime + 0.1;
  source.start(saidFrom);
  window.seats = [];
}"""

ANSWER = """async ([sdp, at]) => {
  const pc = new RTCPeerConnection();
  const seat = (seats[at] = { pc, heard: [] });
  pc.ontrack = ({ track }) => {
    const stream = new MediaStream([track]);
    seat.pull = new Audio();  // Chromium gives a remote track to a graph only while an element plays it
    seat.pull.autoplay = seat.pull.muted = true;
    seat.pull.srcObject = stream;
    const recorder = new AudioWorkletNode(context, 'recorder', { channelCount: 1, channelCountMode: 'explicit' });
    recorder.port.onmessage = ({ data }) => seat.heard.push(data);
    new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(recorder);
  };
  await pc.setRemoteDescription({ type: 'offer', sdp });
  pc.addTrack(mouth.stream.getAudioTracks()[0].clone(), mouth.stream);
  await pc.setLocalDescription(await pc.createAnswer());
  await new Promise((done) => {
    if (pc.iceGatheringState === 'complete') done();
    pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done();
  });
  return pc.localDescription.sdp;
}"""

HEARD = """(at) => {
  const { heard } = seats[at];
  const all = new Int16Array(heard.reduce((sum, [, kept]) => sum + kept.length, 0));
  let filled = 0;
  for (const [, kept] of heard)
    for (const sample of kept) all[filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
  const bytes = new Uint8Array(all.buffer);
  let text = '';
  for (let from = 0; from < bytes.length; from += 32768)
    text += String.fromCharCode(...bytes.subarray(from, from + 32768));
  const ears = offsets.ears.toSorted((one, other) => one - other);
  return [btoa(text), heard[0][0], ears[ears.length >> 1]];
}"""

CONCEALED = """async (at) => {
  for (const report of (await seats[at].pc.getStats()).values())
    if (report.type === 'inbound-rtp') return [report.concealedSamples, report.totalSamplesReceived];
  return [0, 0];
}"""


async def begin(page: Page, voice: Block) -> None:
    """Say *voice*, again and again, to every connection that *page* will have."""
    await page.route(URL, lambda route: route.fulfill(body="<body></body>", content_type="text/html"))
    await page.goto(URL)
    await page.evaluate(BEGIN, base64.b64encode(voice.astype("<i2").tobytes()).decode())


async def answer(page: Page, sdp: str, at: int) -> str:
    """Take the offer *sdp* as connection number *at*; returns the answer."""
    return str(await page.evaluate(ANSWER, [sdp, at]))


async def heard(page: Page, at: int) -> Recording:
    """All that connection *at* has heard so far."""
    text, first, offset_ms = await page.evaluate(HEARD, at)
    sound = np.frombuffer(base64.b64decode(text), "<i2").astype(np.float64)
    return _recording(sound, offset_ms / 1000 + first / RATE)


async def said(page: Page, voice: Block, *, until: float) -> Recording:
    """What was said from :func:`begin`, which said *voice*, until the time *until*."""
    from_s, offset_ms = await page.evaluate("[saidFrom, offsets.mouth]")
    began_at = offset_ms / 1000 + from_s
    return _recording(np.resize(voice, round((until - began_at) * RATE)).astype(np.float64), began_at)


async def concealed(page: Page, at: int) -> tuple[int, int]:
    """Samples that the browser made up, and all of them, of connection *at*."""
    made_up, every = await page.evaluate(CONCEALED, at)
    return int(made_up), int(every)


async def close(page: Page) -> None:
    """End all connections, and forget what they heard."""
    await page.evaluate("seats.forEach(({ pc, pull }) => { pc.close(); pull?.remove(); }); window.seats = [];")


def _recording(sound: np.ndarray[tuple[int], np.dtype[np.float64]], begins_at: float) -> Recording:
    blocks = len(sound) // BLOCK
    return Recording(sound[: blocks * BLOCK], begins_at + np.arange(blocks) * BLOCK / RATE)
