// "Call a bed": the person types a part of a place, the desk answers with the beds that fit, and a button calls one.
import { place } from "./board.js";
import { say } from "./words.js";

const TYPING_MS = 200; // the desk is asked when the person pauses
const AUDIO = 1;
const VIDEO = 2;

const byId = (id) => document.getElementById(id);
const section = byId("find");
let acts = { find: () => {}, call: () => {} };
let found = null;
let timer = null;

export function wire(actions) {
  acts = actions;
  section.ontoggle = () => { if (section.open) ask(); };
  byId("find-text").oninput = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, TYPING_MS);
  };
}

function ask() {
  acts.find(byId("find-text").value.trim());
}

// An answer to an older question than the one that is asked now is not shown.
export function show(message) {
  if (message.text !== byId("find-text").value.trim()) return;
  found = message;
  redraw();
}

export function forget() {
  found = null;
  byId("find-text").value = "";
  section.open = false;
  redraw();
}

// What is on the screen may be old: whoever goes on typing, or opens it again, sees it anew.
export function redraw() {
  const beds = found?.beds ?? [];
  byId("found").replaceChildren(...beds.map(row));
  byId("found-more").textContent = words();
}

function words() {
  if (!found) return "";
  if (!found.beds.length) return say("no_bed_found");
  return found.more ? say("more_beds", { count: found.more }) : "";
}

function row(bed) {
  const where = place({ ...bed, bed_user: bed.user_id });
  const line = document.createElement("li");
  line.dataset.testid = "found-bed";
  line.dataset.bedUser = bed.user_id;
  const name = document.createElement("span");
  name.className = "place";
  name.textContent = bed.online ? where : `${where} · ${say("bed_offline")}`;
  line.append(name, " ", button("call_bed", AUDIO, bed, where), " ", button("call_bed_video", VIDEO, bed, where));
  return line;
}

function button(key, callType, bed, where) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = say(key);
  made.disabled = !bed.online;
  made.dataset.testid = key.replaceAll("_", "-");
  made.setAttribute("aria-label", `${say(key)}: ${where}`);
  made.onclick = () => acts.call(bed.user_id, callType, bed.request_id);
  return made;
}
