// How long the seat waits with the bed's pictures, so that a lost packet is there again when its picture is due.
//
// A picture leans on the one before it. One whose packet was lost holds up all that follow until the bed has repeated
// it; then they are decoded at once and only the last of them is seen. Chromium itself waits 0.9 round trips longer
// once it has missed three packets, but only if it knows the round trip, from the bed's reports on what the seat sends:
// one more reason to send silence where there is no microphone (own-media.js). That is enough for a first repeat. Of 20
// lost packets at 5 % two have their repeat, or the asking for it, lost too, and need a second one: a round trip later,
// and up to 20 ms until Chromium asks again. While packets are lost the page therefore asks for that much (`holdMs`):
//
//   loss, smoothed      wanted
//   below LOSSY         nothing: on a good path a picture is worth most when it is new
//   LOSSY or more       two round trips and ASK_AGAIN_MS, at most MOST_MS
//
// What is wanted more is asked for at once, and Chromium stretches to it by itself, 100 ms a second. What is wanted
// less is asked for by and by, FALL_MS a look: a path that lost something will do so again. The sound need not wait,
// since what is lost of it is concealed; but it must not run ahead of the lips, so it waits with them from LEAD_MS on.
//
// kiosk/bench/video.py has the figures.
const LOOK_EVERY_MS = 1000;
const WEIGHT = 0.5; // of the newest look
const LOSSY = 0.03; // of 150 packets a second: one every four seconds then needs a second repeat
const ASK_AGAIN_MS = 20; // Chromium looks so often whether a repeat is overdue
const UNKNOWN_RTT_MS = 100; // Chromium's own guess
const MOST_MS = 250; // beyond, a talk suffers more than a picture does
const FALL_MS = 10;
const LEAD_MS = 90; // ITU-R BT.1359: sound so much before its picture is acceptable

export const BEGIN = { loss: 0, holdMs: 0 };

// What happened in one look, of pictures' packets: `received`, `lost`; `rttMs` is null when it is not known.
export function step({ loss, holdMs }, { received, lost, rttMs }) {
  const gone = Math.max(0, lost); // what was only late is taken off the count
  const smoothed = loss + WEIGHT * (gone / Math.max(1, received + gone) - loss);
  const wanted = smoothed < LOSSY ? 0 : Math.min(MOST_MS, Math.round(2 * (rttMs ?? UNKNOWN_RTT_MS)) + ASK_AGAIN_MS);
  return { loss: smoothed, holdMs: Math.max(wanted, holdMs - FALL_MS, 0) };
}

export function soundHoldMs({ holdMs }) {
  return Math.max(0, holdMs - LEAD_MS);
}

// Until the connection is closed.
export function awaitRepeats(pc) {
  let state = BEGIN;
  let before = null;
  const timer = setInterval(async () => {
    if (pc.connectionState === "closed") return clearInterval(timer);
    const now = await count(pc);
    if (before) {
      state = step(state, {
        received: now.received - before.received, lost: now.lost - before.lost, rttMs: now.rttMs });
    }
    before = now;
    for (const receiver of pc.getReceivers()) {
      receiver.jitterBufferTarget = receiver.track.kind === "video" ? state.holdMs : soundHoldMs(state);
    }
  }, LOOK_EVERY_MS);
}

async function count(pc) {
  const counted = { received: 0, lost: 0, rttMs: null };
  for (const stats of (await pc.getStats()).values()) {
    if (stats.type === "inbound-rtp" && stats.kind === "video") {
      counted.received += stats.packetsReceived;
      counted.lost += stats.packetsLost;
    } else if (stats.type === "remote-inbound-rtp" && stats.roundTripTime !== undefined) {
      counted.rttMs = Math.max(counted.rttMs ?? 0, stats.roundTripTime * 1000);
    }
  }
  return counted;
}
