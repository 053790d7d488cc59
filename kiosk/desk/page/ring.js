// Ringing: a two-tone sound made here, the title, and a notification. Browsers let a page sound only after a click
// or a key: until then `soundIsOn` is false and the page says so.
import { say } from "./words.js";

const TONES_HZ = [660, 880];
const TONE_S = 0.22;
const PAUSE_MS = 1600;
const TITLE_MS = 700;
const GESTURES = ["pointerdown", "pointerup", "keydown"];

let context = null;
let sounding = null;
let flashing = null;
let notification = null;

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
  let shown = true;
  const flash = () => { document.title = shown ? `☎ ${title()}` : say("title"); shown = !shown; };
  flash();
  flashing = setInterval(flash, TITLE_MS);
  if ("Notification" in window && Notification.permission === "granted" && document.hidden) {
    notification = new Notification(title(), { tag: "kiosk-call", requireInteraction: true });
    notification.onclick = () => window.focus();
  }
}

export function stop() {
  clearInterval(sounding);
  clearInterval(flashing);
  sounding = flashing = null;
  notification?.close();
  notification = null;
  document.title = say("title");
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
