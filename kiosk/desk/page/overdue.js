// Requests that nobody has answered for too long: the title says so until somebody has them, the page sounds each
// time the desk counts another alert, and one click takes one. The call that then comes is not asked about again.
import { place } from "./board.js";
import * as ring from "./ring.js";

const TAKING_MS = 10_000; // the desk gives the bed 5 s for its invitation

const sounded = new Map(); // request id → alerts that have sounded here
let taking = null;
let timer = null;

export function boardShows({ requests }) {
  const overdue = requests.filter((request) => request.overdue);
  const fresh = overdue.filter(({ request_id, alerts }) => alerts > (sounded.get(request_id) ?? 0));
  sounded.clear();
  for (const { request_id, alerts } of overdue) sounded.set(request_id, alerts);
  ring.warn(overdue.length > 0 ? () => overdue.map(place).join(", ") : null, fresh.length > 0);
}

export function forget() {
  sounded.clear();
  stopTaking();
  ring.warn(null, false);
}

export function take(requestId) {
  taking = requestId;
  clearTimeout(timer);
  timer = setTimeout(stopTaking, TAKING_MS);
}

// True once, for the call of the request that the person has just clicked on.
export function isTaken({ request }) {
  const clicked = request.request_id === taking;
  stopTaking();
  return clicked;
}

export function stopTaking() {
  clearTimeout(timer);
  taking = null;
}
