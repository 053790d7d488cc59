// Ringing: a two-tone sound made here, the title, and a notification. Unlocked by the click that signs in.
import { say } from "./words.js";

const TONES_HZ = [660, 880];
const TONE_S = 0.22;
const PAUSE_MS = 1600;
const TITLE_MS = 700;

let context = null;
let sounding = null;
let flashing = null;
let notification = null;

export function unlock() {
  context ??= new AudioContext();
  context.resume();
  if ("Notification" in window && Notification.permission === "default") Notification.requestPermission();
}

export function start(title, urgent) {
  stop();
  const beep = () => TONES_HZ.forEach((hz, index) => tone(hz, index * TONE_S));
  beep();
  sounding = setInterval(beep, urgent ? PAUSE_MS / 2 : PAUSE_MS);
  let shown = false;
  flashing = setInterval(() => { document.title = (shown = !shown) ? `☎ ${title}` : say("title"); }, TITLE_MS);
  document.title = `☎ ${title}`;
  if ("Notification" in window && Notification.permission === "granted" && document.hidden) {
    notification = new Notification(title, { tag: "kiosk-call", requireInteraction: true });
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

function tone(hz, delay) {
  if (context?.state !== "running") return;
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
