// Ringing: a two-tone sound made here, the title, and a notification. Browsers let a page sound only after a click
// or a key: until then `soundIsOn` is false and the page says so.
import { say } from "./words.js";

const TONES_HZ = [660, 880];
const TONE_S = 0.22;
const PAUSE_MS = 1600;
const TITLE_MS = 700;
const WARNING_HZ = [990, 740, 990, 740, 990, 740];
const GESTURES = ["pointerdown", "pointerup", "keydown"];

let context = null;
let sounding = null;
let flashing = null;
let notification = null;
let warning = null; // () => the beds that are overdue, in words, or null
let ringing = null; // () => the title while a call rings, or null

// `changed` is told when the sound is switched on, or off by the browser. Any gesture switches it on; on `button`
// only the whole click does, since the button goes as soon as it is on.
export function prepareSound(button, changed) {
  context = new AudioContext();
  context.onstatechange = changed;
  for (const gesture of GESTURES) addEventListener(gesture, (event) => event.target !== button && turnOn(), true);
  button.onclick = async () => {
    askToNotify();
    await turnOn();
    beep();
  };
}

export function soundIsOn() {
  return context.state === "running";
}

async function turnOn() {
  if (!soundIsOn()) await context.resume();
}

// Browsers want a click for this question too.
export function askToNotify() {
  if ("Notification" in window && Notification.permission === "default") Notification.requestPermission();
}

// `title` gives the words, in the language of the moment.
export function start(title, urgent) {
  stop();
  beep();
  sounding = setInterval(beep, urgent ? PAUSE_MS / 2 : PAUSE_MS);
  ringing = () => `☎ ${title()}`;
  flash();
  notify(title(), "kiosk-call");
}

export function stop() {
  clearInterval(sounding);
  sounding = ringing = null;
  notification?.close();
  notification = null;
  flash();
}

// `beds` gives the words for what is overdue, or is null when nothing is; `sound` also lets it be heard, once.
export function warn(beds, sound) {
  const changed = (beds === null) !== (warning === null);
  warning = beds;
  if (changed) flash();
  if (!sound) return;
  WARNING_HZ.forEach((hz, index) => tone(hz, index * TONE_S));
  notify(overdueTitle(), "kiosk-overdue");
}

function overdueTitle() {
  return `⚠ ${say("overdue_title", { beds: warning() })}`;
}

// The title blinks between the page's own and what is most urgent to know: a call that rings, else what is overdue.
function flash() {
  clearInterval(flashing);
  flashing = null;
  document.title = say("title");
  if (!ringing && !warning) return;
  let shown = true;
  const blink = () => {
    document.title = shown ? (ringing ?? overdueTitle)() : say("title");
    shown = !shown;
  };
  blink();
  flashing = setInterval(blink, TITLE_MS);
}

function notify(words, tag) {
  if (!("Notification" in window) || Notification.permission !== "granted" || !document.hidden) return;
  notification?.close();
  notification = new Notification(words, { tag, requireInteraction: true });
  notification.onclick = () => window.focus();
}

function beep() {
  TONES_HZ.forEach((hz, index) => tone(hz, index * TONE_S));
}

function tone(hz, delay) {
  if (!soundIsOn()) return;
  const begin = context.currentTime + delay;
  const volume = new GainNode(context, { gain: 0 });
  volume.gain.setValueAtTime(0, begin);
  volume.gain.linearRampToValueAtTime(0.3, begin + 0.02);
  volume.gain.setValueAtTime(0.3, begin + TONE_S - 0.04);
  volume.gain.linearRampToValueAtTime(0, begin + TONE_S);
  const voice = new OscillatorNode(context, { frequency: hz });
  voice.connect(volume).connect(context.destination);
  voice.start(begin);
  voice.stop(begin + TONE_S);
}
