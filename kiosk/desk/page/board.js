// The board: who waits, since when, how urgent; colleagues; beds that are not connected.
import { clock, say } from "./words.js";

const URGENCY = ["", "urgent", "emergency"];
const TICK_MS = 1000;

let board = null;
let shownAt = 0;

const byId = (id) => document.getElementById(id);

export function place(request) {
  const parts = [request.ward, request.room, request.bed].filter(Boolean);
  return parts.length ? parts.join(" · ") : say("unnamed_bed", { user: request.bed_user });
}

export function show(next, onClose) {
  board = next;
  shownAt = performance.now();
  draw(onClose);
}

export function redraw(onClose) {
  if (board) draw(onClose);
}

export function startClock() {
  setInterval(() => {
    for (const cell of document.querySelectorAll("[data-age]")) cell.textContent = since(Number(cell.dataset.age));
  }, TICK_MS);
}

function since(age) {
  return clock(age + performance.now() - shownAt);
}

function draw(onClose) {
  byId("my-state").textContent = say(`seat_${board.me.state}`);
  byId("my-state").dataset.state = board.me.state;
  for (const button of document.querySelectorAll("[data-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.choice === board.me.state));
    button.disabled = board.me.state === "ringing" || board.me.state === "busy";
  }
  byId("nobody").hidden = board.requests.length > 0;
  byId("requests").replaceChildren(...board.requests.map((request) => row(request, onClose)));
  byId("seats").replaceChildren(...(board.seats.length ? board.seats.map(colleague) : [item(say("no_colleagues"))]));
  const offline = board.beds_offline.length ? ` ${say("beds_offline", { beds: board.beds_offline.join(", ") })}` : "";
  byId("beds").textContent = say("beds_online", { count: board.beds_online }) + offline;
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function item(text) {
  return element("li", "hint", text);
}

function colleague(seat) {
  const line = document.createElement("li");
  line.append(element("span", "", seat.name), element("span", "hint", say(`seat_${seat.state}`)));
  return line;
}

function seatName(userId) {
  const seats = [board.me, ...board.seats];
  return seats.find((seat) => seat.user_id === userId)?.name ?? userId;
}

function row(request, onClose) {
  const line = document.createElement("li");
  line.dataset.testid = "request-row";
  line.dataset.requestId = request.request_id;
  line.dataset.state = request.state;
  const age = element("span", "since", since(request.age));
  age.dataset.age = request.age;
  line.append(
    element("span", `tag ${URGENCY[request.priority]}`, say(`priority_${request.priority}`)),
    element("span", "place", place(request)),
    age,
    element("span", "detail", details(request).join(" · ")),
  );
  if (request.may_close) {
    const close = element("button", "close", say("close_request"));
    close.type = "button";
    close.onclick = () => onClose(request.request_id);
    line.append(close);
  }
  return line;
}

function details(request) {
  const parts = [say(`request_${request.state}`)];
  if (request.state === "ringing" && request.seat) parts[0] = say("rings_at", { seat: seatName(request.seat) });
  if (request.state === "talking" && request.seat) parts[0] = say("talks_with", { seat: seatName(request.seat) });
  if (request.place) parts.push(say("place", { place: request.place }));
  parts.push(say(request.call_type === 2 ? "video_call" : "audio_call"));
  if (request.presses > 1) parts.push(say("pressed", { presses: request.presses }));
  if (!request.online) parts.push(say("bed_offline"));
  for (const device of ["camera", "microphone", "speaker", "button"]) {
    const fault = request.devices[device];
    if (fault) parts.push(say(`device_${device}`, { fault }));
  }
  return parts;
}
