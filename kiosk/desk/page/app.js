// The seat page: wires the connection, the board, the ringing and the call to the elements of index.html.
import * as board from "./board.js";
import { Call } from "./call.js";
import { askPermission } from "./devices.js";
import * as ring from "./ring.js";
import * as signIn from "./sign-in.js";
import { Wire } from "./wire.js";
import { clock, has, label, say, switchLanguage } from "./words.js";

const byId = (id) => document.getElementById(id);
const form = document.querySelector("#sign-in form");
const remoteVideo = byId("remote-video");
const ownVideo = byId("own-video");
const incoming = byId("incoming");

let wire = null;
let ticket = null;
let readyAfterLogin = false;
let lastStatus = () => "";
let lastDevices = null;
let measured = null;

const call = new Call({
  send: (message) => wire.send(message),
  changed: drawCall,
  tell: (key, why) => status(() => say(key, { why: why ? say(why) : "" }), true),
});

function status(words, warn = false) {
  lastStatus = words;
  byId("status").textContent = words();
  byId("status").classList.toggle("warn", warn);
}

function faultWords({ code, message }) {
  return has(`fault_${code}`) ? say(`fault_${code}`, { message }) : message;
}

function showOnly(section) {
  for (const id of ["sign-in", "kicked", "work"]) byId(id).hidden = id !== section;
  byId("sign-out").hidden = section === "sign-in";
}

// -- signing in

async function enter(how) {
  ring.unlock();
  try {
    ticket = await how();
  } catch (error) {
    status(() => faultWords(error), true);
    return;
  }
  await connect();
}

async function connect() {
  showOnly("work");
  status(() => say("connecting"));
  lastDevices = await askPermission();
  wire?.stop();
  wire = new Wire(ticket, () => call.acceptedId);
  const hear = (kind, act) => wire.events.addEventListener(kind, ({ detail }) => act(detail));
  hear("up", wentUp);
  hear("down", () => {
    status(() => say("reconnecting"), true);
    if (call.state === "ringing") call.over();
  });
  hear("refused", refused);
  hear("kicked", () => {
    call.hangUp();
    showOnly("kicked");
    byId("sign-in-again").focus();
  });
  hear("message", received);
  wire.start();
}

function wentUp(login) {
  call.iceServers = login.ice_servers;
  byId("who").textContent = say("signed_in_as", { name: login.name || login.user_id });
  drawDevices();
  status(() => say("connected"));
  if (readyAfterLogin) wire.ask({ type: "set_seat_state", state: "free" });
  readyAfterLogin = false;
}

function refused(fault) {
  status(() => faultWords(fault), true);
  if (wire.stopped) signOut();
}

function signOut() {
  wire?.stop();
  call.hangUp();
  signIn.forget();
  byId("who").textContent = "";
  showOnly("sign-in");
  form.user.focus();
}

function drawDevices() {
  if (!lastDevices) return;
  const faults = [["audio", "no_microphone"], ["video", "no_camera"]]
    .filter(([kind]) => lastDevices[kind])
    .map(([kind, key]) => say(key, { why: say(lastDevices[kind]) }));
  byId("devices").textContent = faults.join(" ") || say("devices_fine");
}

// -- what the desk says

const RECEIVED = {
  board: (message) => {
    board.show(message, closeRequest);
    // A desk that says we are in no call while we ring has ended it while we were away.
    if (call.state === "ringing" && message.me.state !== "ringing") call.over();
  },
  incoming_call: (message) => call.ring(message),
  accepted: (message) => call.accepted(message),
  call_ended: (message) => {
    // What this page ended itself is over already; the words are the same.
    if (message.call_id !== call.lastId) return;
    call.ended(message);
    status(() => say(`end_${message.reason}`, { duration: clock(message.duration) }), message.reason !== "hangup");
  },
  media_state: (message) => call.farMedia(message),
  switch_to_audio: (message) => call.farSwitchedToAudio(message),
  fault: (message) => {
    if (message.code === "stale_call" && !call.ended(message)) return;
    status(() => faultWords(message), true);
  },
};

function received(message) {
  RECEIVED[message.type]?.(message);
}

function closeRequest(requestId) {
  if (wire.ask({ type: "close_request", request_id: requestId, reason: "closed_by_seat" })) status(() => say("closing"));
}

// -- the call on the screen

function drawCall() {
  const ringing = call.state === "ringing";
  if (ringing && !incoming.open) startRinging();
  if (!ringing && incoming.open) stopRinging();
  const inCall = call.state === "connecting" || call.state === "connected";
  byId("call-view").hidden = !inCall;
  if (!inCall) {
    remoteVideo.srcObject = ownVideo.srcObject = null;
    measured = null;
    return;
  }
  byId("call-title").textContent = board.place(call.incoming.request);
  byId("call-state").textContent = say(`call_${call.state}`);
  byId("call-state").dataset.state = call.state;
  if (remoteVideo.srcObject !== call.remote) remoteVideo.srcObject = call.remote;
  if (measured !== call.id) {
    measured = call.id;
    call.measure(remoteVideo);
    byId("call-title").focus();
  }
  remoteVideo.hidden = !call.isVideo;
  byId("audio-only").hidden = call.isVideo;
  if (ownVideo.srcObject?.getTracks()[0] !== (call.camera ?? undefined)) {
    ownVideo.srcObject = call.camera ? new MediaStream([call.camera]) : null;
  }
  ownVideo.hidden = !call.camera;
  byId("mute").textContent = say(call.muted ? "muted" : "mute");
  byId("mute").setAttribute("aria-pressed", String(call.muted));
  byId("camera").textContent = say(call.cameraOn ? "camera_on" : "camera_off");
  byId("camera").setAttribute("aria-pressed", String(call.cameraOn));
  byId("camera").hidden = byId("switch-to-audio").hidden = !call.isVideo;
  byId("hang-up").textContent = say("hang_up");
  const far = [];
  if (!call.farAudio) far.push(say("far_mic_off"));
  if (call.isVideo && !call.farVideo) far.push(say("far_camera_off"));
  byId("far-end").textContent = far.join(" ");
}

let focusedBefore = null;

function startRinging() {
  drawIncoming();
  focusedBefore = document.activeElement;
  incoming.showModal();
  byId("accept").focus();
  ring.start(byId("incoming-title").textContent, call.incoming.request.priority > 0);
}

function drawIncoming() {
  const { request, call_type } = call.incoming;
  byId("incoming-title").textContent = say("incoming", { place: board.place(request) });
  byId("incoming-text").textContent = say("incoming_text", { kind: say(call_type === 2 ? "video_call" : "audio_call"),
    priority: say(`priority_${request.priority}`), since: clock(request.age), presses: request.presses });
  byId("accept").textContent = say("accept");
  byId("reject").textContent = say("reject");
  incoming.classList.toggle("emergency", request.priority === 2);
}

function stopRinging() {
  incoming.close();
  ring.stop();
  if (document.contains(focusedBefore)) focusedBefore.focus();
}

// -- the person

form.addEventListener("submit", (event) => {
  event.preventDefault();
  enter(() => signIn.fromForm(form));
});
byId("sign-in-again").onclick = () => connect();
byId("sign-out").onclick = signOut;
byId("language").onclick = () => {
  switchLanguage();
  drawWords();
};
for (const button of document.querySelectorAll("[data-choice]")) {
  button.onclick = () => wire.ask({ type: "set_seat_state", state: button.dataset.choice });
}
byId("accept").onclick = () => call.accept();
byId("reject").onclick = () => call.reject();
incoming.addEventListener("cancel", (event) => {
  event.preventDefault();
  call.reject();
});
byId("hang-up").onclick = () => call.hangUp();
byId("mute").onclick = () => call.setMuted(!call.muted);
byId("camera").onclick = () => call.setCamera(!call.cameraOn);
byId("switch-to-audio").onclick = () => call.switchToAudio();
byId("volume").oninput = (event) => { remoteVideo.volume = Number(event.target.value); };

const KEYS = { m: () => call.setMuted(!call.muted), v: () => call.setCamera(!call.cameraOn), h: () => call.hangUp() };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
  if (call.state === "ringing" && event.key === "Enter" && event.target !== byId("reject")) {
    event.preventDefault();
    call.accept();
  } else if (call.acceptedId !== null) {
    KEYS[event.key.toLowerCase()]?.();
  }
});

window.addEventListener("pagehide", () => wire?.stop());

function drawWords() {
  label();
  byId("language").textContent = say("language");
  byId("status").textContent = lastStatus();
  if (ticket) byId("who").textContent = say("signed_in_as", { name: ticket.name || ticket.userID });
  document.title = say("title");
  drawDevices();
  board.redraw(closeRequest);
  if (call.state === "ringing") drawIncoming();
  drawCall();
}

setInterval(() => {
  byId("call-time").textContent = call.since && call.state === "connected" ? clock(Date.now() - call.since) : "";
}, 500);

drawWords();
board.startClock();
const code = signIn.codeInAddress();
if (code) {
  readyAfterLogin = true;
  enter(() => signIn.exchange({ code }));
} else {
  ticket = signIn.stored();
  if (ticket) connect();
  else showOnly("sign-in");
}
