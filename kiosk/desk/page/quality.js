// How good the connection of a talk is at the seat: figures of the last seconds, and TUICalling's quality of them, that
// does not flicker. kiosk/media/quality.py has the rules and does the same for the bed; the table is written from it.
import { BETTER_AFTER, EVERY_MS, LEAST_S, LIMITS, SETTLE, SPAN, SPARE, WORSE_AFTER } from "./quality-limits.js";

export const UNKNOWN = 0;
export const DISCONNECTED = 6;
const EXCELLENT = 1;
const EXTREMES = new Set([UNKNOWN, DISCONNECTED]);
const NOTHING_SHOWN = { level: UNKNOWN, sample: {}, run: 0 };

export function rate(sample, spare = 1) {
  if (sample.stalled) return DISCONNECTED;
  let worst = UNKNOWN;
  for (const [name, limits] of Object.entries(LIMITS)) {
    const value = sample[name] ?? null;
    if (value === null) continue;
    worst = Math.max(worst, EXCELLENT + limits.filter((limit) => value > limit * spare).length);
  }
  return worst;
}

export function judge(before, sample) {
  const now = rate(sample);
  if (EXTREMES.has(now) || EXTREMES.has(before.level)) return { level: now, sample, run: 0 };
  if (now > before.level) {
    const run = Math.max(0, before.run) + 1;
    return run >= WORSE_AFTER ? { level: now, sample, run: 0 } : { level: before.level, sample, run };
  }
  const clearly = rate(sample, SPARE);
  if (clearly < before.level) {
    const run = Math.min(0, before.run) - 1;
    return -run >= BETTER_AFTER ? { level: clearly, sample, run: 0 } : { level: before.level, sample, run };
  }
  return { level: before.level, sample, run: 0 };
}

// Measures once a second from start to stop. `connection` gives the RTCPeerConnection of the moment, null while there
// is none that carries; `told` is given what is to be shown, in the wire's words.
export class QualityWatch {
  constructor({ connection, told }) {
    this.connection = connection;
    this.told = told;
    this.timer = null;
  }

  start() {
    if (this.timer !== null) return;
    Object.assign(this, { standing: NOTHING_SHOWN, seen: [], source: null, looks: 0 });
    this.timer = setInterval(() => this.look(), EVERY_MS);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
  }

  async look() {
    if (++this.looks <= SETTLE) return;
    const pc = this.connection();
    if (pc !== this.source || !pc) Object.assign(this, { source: pc, seen: [] });
    const { timer, seen } = this;
    let sample = { stalled: true };
    if (pc) {
      const totals = await count(pc);
      if (this.timer !== timer || this.seen !== seen) return; // the talk, or this connection, ended meanwhile
      seen.push(totals);
      if (seen.length > SPAN + 1) seen.shift();
      sample = between(seen[0], totals);
    }
    this.standing = judge(this.standing, sample);
    this.told(onTheWire(this.standing));
  }
}

async function count(pc) {
  const totals = { at: performance.now() / 1000, packets: 0, lost: 0, late: 0, loss_out: null, rtt_ms: null,
    jitter_ms: null, bytesIn: 0, bytesOut: 0, frames: 0, frozenS: 0, played: 0, concealed: 0 };
  for (const stats of (await pc.getStats()).values()) {
    if (stats.type === "remote-inbound-rtp") {
      totals.loss_out = most(totals.loss_out, stats.fractionLost);
      totals.rtt_ms = most(totals.rtt_ms, inMs(stats.roundTripTime));
    } else if (stats.type === "transport") {
      totals.bytesIn += stats.bytesReceived ?? 0;
      totals.bytesOut += stats.bytesSent ?? 0;
    } else if (stats.type === "inbound-rtp" && stats.kind === "audio") {
      totals.packets += stats.packetsReceived;
      totals.lost += stats.packetsLost;
      totals.late += stats.packetsDiscarded ?? 0;
      totals.jitter_ms = most(totals.jitter_ms, inMs(stats.jitter));
      totals.played += stats.totalSamplesReceived ?? 0;
      // The silent ones are the far end's own silence, or a hole so long that it counts as lost packets.
      totals.concealed += (stats.concealedSamples ?? 0) - (stats.silentConcealedSamples ?? 0);
    } else if (stats.type === "inbound-rtp" && stats.kind === "video") {
      totals.frames += stats.framesDecoded ?? 0;
      totals.frozenS += stats.totalFreezesDuration ?? 0;
    }
  }
  return totals;
}

function between(before, after) {
  const seconds = after.at - before.at;
  if (seconds < LEAST_S) return {};
  const packets = after.packets - before.packets;
  const lost = after.lost - before.lost;
  const { loss_out, rtt_ms, jitter_ms } = after;
  return {
    loss_in: part(lost, packets + lost),
    loss_out,
    rtt_ms,
    jitter_ms,
    kbps_in: (after.bytesIn - before.bytesIn) * 8 / 1000 / seconds,
    kbps_out: (after.bytesOut - before.bytesOut) * 8 / 1000 / seconds,
    fps: after.frames ? (after.frames - before.frames) / seconds : null,
    concealed: part(after.concealed - before.concealed, after.played - before.played),
    late: part(after.late - before.late, packets),
    frozen: after.frames ? part(after.frozenS - before.frozenS, seconds) : null,
  };
}

function onTheWire({ level, sample }) {
  const message = { quality: level };
  for (const name of ["loss_in", "loss_out", "concealed", "late", "frozen"]) {
    if (Number.isFinite(sample[name])) message[name] = Math.min(1, Math.max(0, Math.round(sample[name] * 1e4) / 1e4));
  }
  const most = { rtt_ms: 60_000, jitter_ms: 60_000, kbps_in: 1e6, kbps_out: 1e6, fps: 240 };
  for (const [name, limit] of Object.entries(most)) {
    if (Number.isFinite(sample[name])) message[name] = Math.min(limit, Math.max(0, Math.round(sample[name])));
  }
  return message;
}

function part(some, whole) {
  return whole > 0 ? Math.min(1, Math.max(0, some / whole)) : null;
}

function most(before, value) {
  return value === undefined ? before : Math.max(before ?? 0, value);
}

function inMs(seconds) {
  return seconds === undefined ? undefined : seconds * 1000;
}
