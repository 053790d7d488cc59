// The seat page: wires the connection, the board, the ringing and the call to the elements of index.html.
import * as beds from "./beds.js";
import * as board from "./board.js";
import { Call } from "./call.js";
import * as callView from "./call-view.js";
import { drawCalling } from "./calling.js";
import * as colleagues from "./colleagues.js";
import { askPermission } from "./devices.js";
import { drawIncoming } from "./incoming.js";
import { drawMembers, wireMembers } from "./members-view.js";
import { Mesh } from "./mesh.js";
import * as overdue from "./overdue.js";
import { drawQuality } from "./quality-view.js";
import * as ring from "./ring.js";
import * as signIn from "./sign-in.js";
import { Wire } from "./wire.js";
import { clock, has, label, say, switchLanguage, write } from "./words.js";

const CALM = new Set(["asked", "joined", "hangup"]); // what changes in a talk without a fault

const byId = (id) => document.getElementById(id);
const form = document.querySelector("#sign-in form");

let wire = null;
let ticket = null;
let entering = false;
let choiceTold = false; // the desk has our choice since the last login
let lastStatus = () => "";
let lastDevices = null;

const call = new Call({
  send: (message) => wire.send(message),
  changed: drawCall,
  tell: (key, warn) => status(() => say(inGroup(key)), warn),
  measured: () => drawQuality(call),
});
const mesh = new Mesh({
  call,
  send: (message) => wire.send(message),
  changed: drawCall,
  told: (change, name) => status(() => say(`member_${change}`, { name }), !CALM.has(change)),
});

function status(words, warn = false) {
  lastStatus = words;
  write("status", words());
  byId("status").classList.toggle("warn", warn);
}

function faultWords({ code, message }) {
  return has(`fault_${code}`) ? say(`fault_${code}`, { message }) : message;
}

function showOnly(section) {
  for (const id of ["sign-in", "kicked", "work"]) byId(id).hidden = id !== section;
  byId("sign-out").hidden = section === "sign-in";
}

function drawCall() {
  mesh.follow();
  drawIncoming(call, mesh.names);
  drawCalling(call);
  callView.drawCall(call, mesh.company);
  drawMembers(mesh);
  colleagues.drawColleagues(call);
  drawQuality(call);
  tellChoice();
}

// -- signing in

async function enter(how, refusedKey) {
  if (entering) return;
  entering = true;
  status(() => say("connecting"));
  try {
    ticket = await how();
  } catch (error) {
    showOnly("sign-in");
    form[form.user.value ? "passphrase" : "user"].select();
    status(() => (error.code === "not_allowed" ? say(refusedKey) : faultWords(error)), true);
    return;
  } finally {
    entering = false;
  }
  form.reset();
  connect();
}

function connect() {
  showOnly("work");
  byId("ready").focus();
  status(() => say("connecting"));
  wire?.stop();
  wire = new Wire(ticket, () => call.acceptedId);
  const hear = (kind, act) => wire.events.addEventListener(kind, ({ detail }) => act(detail));
  hear("up", wentUp);
  hear("down", wentDown);
  hear("refused", refused);
  hear("kicked", kicked);
  hear("message", received);
  wire.start();
  // Not waited for: the question may stay open for long, and calls ring meanwhile.
  askPermission().then((found) => {
    lastDevices = found;
    drawDevices();
  });
}

function wentUp(login) {
  if (login.role !== "seat") {
    status(() => say("fault_unknown_seat"), true);
    return signOut();
  }
  call.me = login.user_id;
  call.iceServers = login.ice;
  choiceTold = false;
  ticket.name = login.name;
  drawWho();
  board.setOnline(true);
  status(() => say("connected"));
}

function wentDown() {
  status(() => say(call.acceptedId ? "reconnecting_in_call" : "reconnecting"), true);
  call.linkLost();
  board.setOnline(false);
}

function refused(fault) {
  status(() => faultWords(fault), true);
  if (wire.stopped) signOut();
}

function kicked() {
  call.hangUp();
  board.forget();
  overdue.forget();
  beds.forget();
  signIn.forgetChoice();
  showOnly("kicked");
  status(() => "");
  byId("sign-in-again").focus();
}

// The call is ended before the connection, so that the desk hears it.
function signOut() {
  call.hangUp();
  wire?.stop();
  board.forget();
  overdue.forget();
  beds.forget();
  ticket = null;
  signIn.forget();
  drawWho();
  showOnly("sign-in");
  form.user.focus();
}

function drawWho() {
  byId("who").textContent = ticket ? say("signed_in_as", { name: ticket.name || ticket.userID }) : "";
}

function drawDevices() {
  if (!lastDevices) return;
  const faults = [["audio", "no_microphone"], ["video", "no_camera"]]
    .filter(([kind]) => lastDevices[kind])
    .map(([kind, key]) => say(key, { why: say(lastDevices[kind]) }));
  byId("devices").textContent = faults.join(" ") || say("devices_fine");
  byId("devices").classList.toggle("warn", faults.length > 0);
}

function drawSound() {
  const hadFocus = document.activeElement === byId("sound-on");
  byId("sound").hidden = ring.soundIsOn();
  if (hadFocus && ring.soundIsOn()) byId("ready").focus();
}

// -- what the desk says

const RECEIVED = {
  board: (message) => {
    board.show(message);
    overdue.boardShows(message);
    call.boardShows(message);
    colleagues.boardShows();
    tellChoice();
  },
  incoming_call: (message) => call.ring(message, overdue.isTaken(message)),
  accepted: (message) => call.accepted(message),
  call_ended: (message) => {
    overdue.stopTaking();
    // What this page ended itself is over already; the words are the same.
    if (message.call_id !== call.lastId) return;
    const leaves = call.hungUp && mesh.company;
    const key = leaves ? "end_left" : inGroup(endKey(message.reason));
    call.ended(message);
    status(() => say(key, { duration: clock(message.duration) }), message.reason !== "hangup");
  },
  beds: beds.show,
  seats: colleagues.show,
  members: (message) => mesh.membersAre(message),
  member_offer: (message) => mesh.offered(message),
  member_answer: (message) => mesh.answered(message),
  member_candidate: (message) => mesh.candidate(message),
  calling: (message) => {
    status(() => "");
    call.callsOut(message);
  },
  ringing: (message) => call.farRings(message),
  media_state: (message) => call.farMedia(message),
  quality: (message) => call.farQuality(message),
  rebuild: (message) => call.rebuild(message),
  ice_servers: ({ ice }) => (call.iceServers = ice),
  switch_to_audio: (message) => call.farSwitchedToAudio(message),
  fault: (message) => {
    if (message.field === "request_id") overdue.stopTaking();
    if (message.code === "stale_call" && !call.refused(message)) return;
    if (message.field === "user_id" && aboutColleague(message)) return;
    status(() => faultWords(message), true);
  },
};

// What the mesh says by itself carries no id: it tries again, and the person needs no words about that.
function aboutColleague(fault) {
  return !fault.id || colleagues.refused(() => faultWords(fault));
}

// A call that this page made ends with words of its own: no other seat rings for it.
function endKey(reason) {
  if (!call.outgoing || (reason === "hangup" && call.asked)) return `end_${reason}`;
  return has(`bed_end_${reason}`) ? `bed_end_${reason}` : `end_${reason}`;
}

// Nothing rings elsewhere when one of several seats is no longer in a talk.
function inGroup(key) {
  const group = mesh.company || (call.joined && !call.confirmed);
  return group && has(`group_${key}`) ? `group_${key}` : key;
}

function received(message) {
  RECEIVED[message.type]?.(message);
}

// A desk that lost us, or was restarted, takes us for not ready. What the person chose is told again, once.
function tellChoice() {
  if (choiceTold || call.state !== "idle" || !board.myState()) return;
  choiceTold = true;
  const choice = signIn.choice();
  if (choice && choice !== board.myState()) wire.ask({ type: "set_seat_state", state: choice });
}

function choose(choice) {
  signIn.keepChoice(choice);
  choiceTold = true;
  wire.ask({ type: "set_seat_state", state: choice });
}

function closeRequest(requestId) {
  if (wire.ask({ type: "close_request", request_id: requestId, reason: "closed_by_seat" })) status(() => say("closing"));
}

// A bed whose patient waits is not called but taken: what then comes is not asked about again.
function callBed(bedUser, callType, requestId = null) {
  if (!wire.ask({ type: "call_bed", bed_user: bedUser, call_type: callType })) return;
  if (requestId) overdue.take(requestId);
  status(() => say("calling_bed"));
}

function takeRequest(requestId) {
  if (!wire.ask({ type: "take_request", request_id: requestId })) return;
  overdue.take(requestId);
  status(() => say("taking"));
}

// -- the person

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ring.askToNotify();
  enter(() => signIn.fromForm(form), "sign_in_wrong");
});
byId("sign-in-again").onclick = () => connect();
byId("sign-out").onclick = () => {
  status(() => "");
  signOut();
};
byId("language").onclick = () => {
  switchLanguage();
  drawWords();
};
for (const button of document.querySelectorAll("[data-choice]")) {
  button.onclick = () => choose(button.dataset.choice);
}
byId("accept").onclick = () => call.accept();
byId("reject").onclick = () => call.reject();
byId("incoming").addEventListener("cancel", (event) => {
  event.preventDefault();
  call.reject();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.repeat || call.state !== "ringing" || event.target === byId("reject")) return;
  event.preventDefault();
  call.accept();
});
callView.wire(call, { add: colleagues.open, redraw: drawCall });
wireMembers();
byId("quality-more").ontoggle = () => drawQuality(call);
byId("cancel-call").onclick = () => call.hangUp();
board.wire({ close: closeRequest, take: takeRequest, call: callBed });
beds.wire({ find: (text) => wire.send({ type: "find_beds", text }), call: callBed });
colleagues.wire({
  find: (text) => wire.send({ type: "find_seats", text }),
  ask: (userId) => wire.ask({ type: "add_seat", call_id: call.id, user_id: userId }),
  known: (userId) => mesh.stateOf(userId),
});

// A page that the browser kept and brings back has lost its connection.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
addEventListener("pagehide", () => wire?.stop());

function drawWords() {
  label();
  document.title = say("title");
  byId("status").textContent = lastStatus();
  drawWho();
  drawDevices();
  board.redraw();
  beds.redraw();
  drawCall();
}

drawWords();
board.startClock();
ring.prepareSound(byId("sound-on"), drawSound);
drawSound();
const code = signIn.codeInAddress();
if (code) {
  signIn.keepChoice("free");
  enter(() => signIn.exchange({ code }), "code_wrong");
} else {
  ticket = signIn.stored();
  if (ticket) connect();
  else showOnly("sign-in");
}
