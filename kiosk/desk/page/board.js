// The board: who waits, since when, how urgent; colleagues; beds that are not connected. It is what the desk said
// last; while the desk cannot be reached the page says that this may be old.
import { clock, has, say, write } from "./words.js";

export const URGENCY = ["normal", "urgent", "emergency"];
const TICK_MS = 1000;
const SPOKEN_WITH = new Set(["talking", "answered", "called"]);
export const PATIENT = "call_button";

let board = null;
let shownAt = 0;
let online = false;
let acts = { close: () => {}, take: () => {}, call: () => {} }; // what the buttons of a row do

const byId = (id) => document.getElementById(id);

export function place(request) {
  const parts = [request.ward, request.room, request.bed].filter(Boolean);
  return parts.length ? parts.join(" · ") : say("unnamed_bed", { user: request.bed_user });
}

export function wire(actions) {
  acts = actions;
}

export function show(next) {
  board = next;
  shownAt = performance.now();
  redraw();
}

export function forget() {
  board = null;
}

export function setOnline(isOnline) {
  online = isOnline;
  redraw();
}

export function startClock() {
  setInterval(() => {
    for (const cell of document.querySelectorAll("[data-begun]")) tick(cell);
  }, TICK_MS);
}

// `element` says how long a request of `age` milliseconds waits or, spoken with, is open, and goes on saying it.
export function keepTime(element, age, key = "waiting_since") {
  element.dataset.key = key;
  element.dataset.begun = performance.now() - age;
  tick(element);
}

function tick(element) {
  element.textContent = say(element.dataset.key, { since: clock(performance.now() - Number(element.dataset.begun)) });
}

// What is broken at the bed, in words.
export function faults(devices) {
  return ["camera", "microphone", "speaker", "button", "bathroom", "staff", "journal"]
    .filter((device) => devices[device])
    .map((device) => say(`device_${device}`, { fault: faultOf(devices, device) }));
}

// What is wrong with `device`. What the bed says itself is for the technician, in English.
export function faultOf(devices, device) {
  const key = `fault_is_${devices.kinds?.[device]}`;
  return has(key) ? say(key) : devices[device];
}

// What the desk has this seat for; "" while it has not said.
export function myState() {
  return online && board ? board.me.state : "";
}

export function redraw() {
  if (!board) return;
  const state = online ? board.me.state : "offline";
  byId("my-state").textContent = say(`seat_${state}`);
  byId("my-state").dataset.state = state;
  byId("no-calls").hidden = !["not_ready", "rest"].includes(state);
  byId("stale").hidden = online;
  drawHistoryFault();
  for (const button of document.querySelectorAll("[data-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.choice === state));
    button.disabled = ["offline", "ringing", "busy"].includes(state);
  }
  drawRequests();
  byId("seats").replaceChildren(...board.seats.map(colleague));
  byId("no-colleagues").hidden = board.seats.length > 0;
  byId("beds").textContent = say("beds_online", { count: board.beds_online });
  byId("beds-offline").hidden = !board.beds_offline.length;
  byId("beds-offline").textContent = say("beds_offline", { beds: board.beds_offline.join(", ") });
}

function drawHistoryFault() {
  write("history-fault", online && board.history_fault ? say("history_fault", { fault: board.history_fault }) : "");
}

function drawRequests() {
  const focused = document.activeElement?.closest("#requests li")?.dataset.requestId;
  const button = document.activeElement?.dataset?.testid;
  byId("requests").replaceChildren(...board.requests.map(row));
  if (focused) focusRow(focused, button);
  write("waiting", waitingWords());
}

function waitingWords() {
  if (!board.requests.length) return say("nobody_waits");
  const overdue = board.requests.filter((request) => request.overdue).map(place);
  const waiting = board.requests.filter(({ state }) => state === "waiting").length;
  const parts = [];
  if (overdue.length) parts.push(say("overdue_title", { beds: overdue.join(", ") }));
  if (waiting) parts.push(say("waiting_count", { count: waiting }));
  return parts.join(" · ");
}

// A board is drawn anew several times a second at most; who stands on a button stays on it.
function focusRow(requestId, button) {
  const row = document.querySelector(`#requests li[data-request-id="${CSS.escape(requestId)}"]`);
  (row?.querySelector(`[data-testid="${button}"]`) ?? row?.querySelector("button") ?? byId("board-title")).focus();
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function colleague(seat) {
  const line = document.createElement("li");
  line.append(element("span", "", seat.name), " ", element("span", "hint", say(`seat_${seat.state}`)));
  return line;
}

function seatName(userId) {
  const seats = [board.me, ...board.seats];
  return seats.find((seat) => seat.user_id === userId)?.name ?? userId;
}

function row(request) {
  const line = document.createElement("li");
  line.dataset.testid = "request-row";
  line.dataset.requestId = request.request_id;
  line.dataset.state = request.state;
  line.dataset.overdue = request.overdue;
  const since = element("span", "since", "");
  const spokenWith = SPOKEN_WITH.has(request.state);
  keepTime(since, request.age + performance.now() - shownAt, spokenWith ? "open_since" : "waiting_since");
  const parts = [
    element("span", `tag ${URGENCY[request.priority]}`, say(`priority_${request.priority}`)),
    element("span", "place", place(request)),
    since,
    element("span", "detail", details(request).join(" · ")),
  ];
  if (request.overdue) parts.push(take(request));
  if (request.state === "answered") parts.push(callAgain(request));
  if (request.may_close) parts.push(button("close_request", request, online, acts.close));
  // Spaces, so that the row read as one text has its words apart.
  line.append(...parts.flatMap((part) => [part, " "]));
  return line;
}

// An overdue request is taken by one click, also by a seat that is not ready; not by one that rings or talks.
function take(request) {
  const free = online && request.online && !["ringing", "busy"].includes(board.me.state);
  return button("take_request", request, free, acts.take);
}

// Who was spoken with may be called again, to say how long it will take.
function callAgain(request) {
  const free = online && request.online && !["ringing", "busy"].includes(board.me.state);
  return button("call_again", request, free, () => acts.call(request.bed_user, request.call_type));
}

function button(key, request, enabled, act) {
  const made = element("button", key === "take_request" ? "act primary" : "act", say(key));
  made.type = "button";
  made.disabled = !enabled;
  made.dataset.testid = key.replace("_", "-");
  made.setAttribute("aria-label", `${say(key)}: ${place(request)}`);
  made.onclick = () => act(request.request_id);
  return made;
}

function details(request) {
  const parts = [say(`request_${request.state}`)];
  if (request.state === "ringing" && request.seat) parts[0] = say("rings_at", { seat: seatName(request.seat) });
  if (request.state === "talking" && request.seat) parts[0] = say("talks_with", { seat: seatName(request.seat) });
  if (request.state === "called" && request.seat) parts[0] = say("called_by", { seat: seatName(request.seat) });
  if (request.origin !== PATIENT && request.state !== "called") parts.unshift(say(`origin_${request.origin}`));
  if (request.overdue) parts.unshift(say("overdue"));
  if (request.place) parts.push(say("place", { place: request.place }));
  parts.push(say(request.call_type === 2 ? "video_call" : "audio_call"));
  if (request.presses > 1) parts.push(say("pressed", { presses: request.presses }));
  if (!request.online) parts.push(say("bed_offline"));
  return [...parts, ...faults(request.devices)];
}
