// Counts the packets that arrive on one connection. The bed sends silence as packets too, so that their absence means
// a dead path; the browser itself says so only after many seconds, and never when but one direction is dead.
const LOOK_EVERY_MS = 250;
const BLIND_MS = 1500; // a hidden page looks once a second; what it did not look at does not count

// `expects` says whether packets must come now; `told` is given for how many milliseconds none came, at each look.
export function watchPath(pc, { expects, told }) {
  let packets = 0;
  let absentSince = performance.now();
  let lookedAt = absentSince;
  const timer = setInterval(async () => {
    if (pc.connectionState === "closed") return clearInterval(timer);
    const counted = await count(pc);
    const now = performance.now();
    if (now - lookedAt > BLIND_MS) absentSince += now - lookedAt;
    lookedAt = now;
    if (counted !== packets || !expects()) absentSince = now;
    packets = counted;
    told(now - absentSince);
  }, LOOK_EVERY_MS);
}

async function count(pc) {
  let packets = 0;
  for (const stats of (await pc.getStats()).values()) {
    if (stats.type === "inbound-rtp") packets += stats.packetsReceived;
  }
  return packets;
}
