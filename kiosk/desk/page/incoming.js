// The dialog of a call that rings: who, how urgent, accept or reject; with the ring and, at the end, the focus
// back where it was.
import * as board from "./board.js";
import * as ring from "./ring.js";
import { say } from "./words.js";

const byId = (id) => document.getElementById(id);
const dialog = byId("incoming");
let focusedBefore = null;

// `company` names who talks with the bed already, when a colleague asks.
export function drawIncoming(call, company) {
  const asks = call.state === "ringing" && !call.taken;
  if (asks) draw(call.incoming, company);
  if (asks && !dialog.open) open(call, company);
  if (!asks && dialog.open) close();
}

function open(call, company) {
  board.keepTime(byId("incoming-since"), call.incoming.request.age, company ? "open_since" : "waiting_since");
  focusedBefore = document.activeElement;
  dialog.showModal();
  byId("accept").focus();
  ring.start(() => byId("incoming-title").textContent, call.incoming.request.priority > 0);
}

function close() {
  dialog.close();
  ring.stop();
  if (document.contains(focusedBefore)) focusedBefore.focus();
}

function draw({ request, call_type }, company) {
  const title = company ? "incoming_to_join" : "incoming";
  byId("incoming-title").textContent = say(title, { place: board.place(request), names: company });
  byId("incoming-priority").textContent = say(`priority_${request.priority}`);
  byId("incoming-priority").className = `tag ${board.URGENCY[request.priority]}`;
  const parts = [say(call_type === 2 ? "video_call" : "audio_call")];
  if (request.origin !== board.PATIENT) parts.unshift(say(`origin_${request.origin}`));
  if (request.presses > 1) parts.push(say("pressed", { presses: request.presses }));
  byId("incoming-text").textContent = [...parts, ...board.faults(request.devices)].join(" · ");
  dialog.className = board.URGENCY[request.priority];
}
