// The call on the screen: the bed's picture and one's own, what either end does not send, and the controls.
import * as board from "./board.js";
import { LevelMeter } from "./level-meter.js";
import { clock, say, write } from "./words.js";

const TICK_MS = 500;

const byId = (id) => document.getElementById(id);
const remoteVideo = byId("remote-video");
const ownVideo = byId("own-video");
const farLevel = new LevelMeter(byId("far-level"));
const ownLevel = new LevelMeter(byId("own-level"));
let measured = null;

// `add` opens the search for a colleague; `redraw` draws all that shows the call.
export function wire(call, { add, redraw }) {
  byId("hang-up").onclick = () => call.hangUp();
  byId("mute").onclick = () => mute(call);
  byId("camera").onclick = () => camera(call);
  byId("switch-to-audio").onclick = () => call.switchToAudio();
  byId("volume").oninput = (event) => { remoteVideo.volume = Number(event.target.value); };
  // The first picture, and a picture that stops being one.
  for (const event of ["resize", "emptied"]) remoteVideo.addEventListener(event, redraw);
  const keys = { m: mute, v: camera, h: () => call.hangUp(), a: add };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.matches("input")) return;
    if (call.acceptedId === null || !(event.key.toLowerCase() in keys)) return;
    event.preventDefault(); // the key is not typed where it leads to
    keys[event.key.toLowerCase()](call);
  });
  setInterval(() => {
    byId("call-time").textContent = call.state === "connected" ? clock(Date.now() - call.since) : "";
    drawLevels(call);
  }, TICK_MS);
}

// With the clock, not with the call: what takes time when a call begins delays its first picture.
function drawLevels(call) {
  const talks = call.state === "connected";
  farLevel.follow(talks ? call.remote.getAudioTracks()[0] ?? null : null);
  ownLevel.follow(talks ? call.own?.tracks.audio ?? null : null);
}

function mute(call) {
  call.setMuted(call.own.isOn("audio"));
}

function camera(call) {
  call.setCamera(!call.own.isOn("video"));
}

// `company`: colleagues are in the talk, too.
export function drawCall(call, company) {
  const inCall = call.acceptedId !== null;
  const hadFocus = byId("call-view").contains(document.activeElement);
  byId("call-view").hidden = !inCall;
  if (!inCall) {
    if (hadFocus) byId("board-title").focus();
    remoteVideo.srcObject = ownVideo.srcObject = measured = null;
    return;
  }
  byId("call-title").textContent = board.place(call.incoming.request);
  write("call-state", say(call.interrupted ? "call_interrupted" : `call_${call.state}`));
  byId("call-state").dataset.state = call.state;
  if (remoteVideo.srcObject !== call.remote) remoteVideo.srcObject = call.remote;
  if (measured !== call.id) {
    measured = call.id;
    call.measure(remoteVideo);
    byId("call-title").focus();
  }
  drawStage(call);
  write("far-end", farWords(call));
  write("own-end", ownWords(call, company));
  press("mute", !call.own.wanted.audio);
  press("camera", call.own.wanted.video);
  byId("camera").hidden = byId("switch-to-audio").hidden = !call.isVideo;
  byId("switch-to-audio").disabled = call.state !== "connected";
}

function drawStage(call) {
  const words = stageWords(call);
  write("stage-words", words);
  byId("stage-words").hidden = !words;
  // Until the first picture the words lie over it: what is not rendered is painted late.
  remoteVideo.hidden = !!words && (!call.isVideo || !call.farVideo || !!call.devices.camera);
  byId("stage").classList.toggle("audio", !call.isVideo);
  const track = call.own.tracks.video;
  if (ownVideo.srcObject?.getTracks()[0] !== (track ?? undefined)) {
    ownVideo.srcObject = track ? new MediaStream([track]) : null;
  }
  ownVideo.hidden = !track;
}

// Why there is no picture of the bed; "" when there is one.
function stageWords(call) {
  if (!call.isVideo) return say("no_pictures");
  if (call.devices.camera) return say("no_picture", { fault: board.faultOf(call.devices, "camera") });
  if (!call.farVideo) return say("far_camera_off");
  return remoteVideo.videoWidth ? "" : say("no_picture_yet");
}

function farWords(call) {
  const faults = board.faults({ ...call.devices, camera: "" });
  if (faults.length) return say("at_the_bed", { faults: faults.join(" · ") });
  return call.farAudio ? "" : say("far_mic_off");
}

function ownWords({ own, isVideo }, company) {
  const parts = [];
  if (own.missing.audio) parts.push(say("no_microphone", { why: say(own.missing.audio) }));
  else if (!own.wanted.audio) parts.push(say(company ? "own_muted_for_all" : "own_muted"));
  if (isVideo && own.missing.video) parts.push(say("no_camera", { why: say(own.missing.video) }));
  return parts.join(" ");
}

function press(id, pressed) {
  byId(id).setAttribute("aria-pressed", String(pressed));
}
