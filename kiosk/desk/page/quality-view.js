// How good the connection is, on the screen: the worse of the two ends in words and bars, and both ends' figures.
import { DISCONNECTED, UNKNOWN } from "./quality.js";
import { say, write } from "./words.js";

const POOR = 3; // from here on it is said which end is worse off
const WARNED_FROM = 4; // as TUICalling's kit does
const FRESH_MS = 5000; // an end that says nothing for longer is not believed
const BARS = 5;

const byId = (id) => document.getElementById(id);

const FIGURES = [
  ["figure_loss", (end) => percent(end.loss_in)],
  ["figure_rtt", (end) => unit(end.rtt_ms, "ms")],
  ["figure_jitter", (end) => unit(end.jitter_ms, "ms")],
  ["figure_rate", (end) => unit(end.kbps_in, "kb/s")],
  ["figure_fps", (end) => unit(end.fps, "")],
  ["figure_concealed", (end) => percent(end.concealed)],
  ["figure_late", (end) => percent(end.late)],
];

export function drawQuality(call) {
  const shown = call.state === "connected";
  byId("quality").hidden = !shown;
  if (!shown) return write("quality-warning", "");
  const here = fresh(call.here);
  const there = fresh(call.there);
  const level = Math.max(here?.quality ?? UNKNOWN, there?.quality ?? UNKNOWN);
  write("quality-words", say(key(level, here, there), { word: say(`quality_${level}`) }));
  byId("quality").dataset.level = level;
  const lit = level === UNKNOWN || level === DISCONNECTED ? 0 : BARS + 1 - level;
  byId("quality-bars").querySelectorAll("i").forEach((bar, index) => bar.classList.toggle("lit", index < lit));
  // That the path is lost is said in other words already.
  const warns = level >= WARNED_FROM && level !== DISCONNECTED;
  write("quality-warning", warns ? say("quality_warning") : "");
  if (byId("quality-more").open) drawFigures(here ?? {}, there ?? {});
}

function key(level, here, there) {
  if (level < POOR || !here || !there || here.quality === there.quality) return "quality_is";
  return here.quality > there.quality ? "quality_is_here" : "quality_is_there";
}

function drawFigures(here, there) {
  // What is lost on the way to one end, the other knows by reports when that end does not say it.
  const ends = [here, there].map((end, index, both) => ({ ...end, loss_in: end.loss_in ?? both[1 - index].loss_out }));
  const rows = FIGURES.map(([name, figure]) => [say(name), ...ends.map(figure)]);
  rows.unshift([say("figure_quality"), ...ends.map((end) => say(`quality_${end.quality ?? UNKNOWN}`))]);
  const body = byId("quality-figures");
  while (body.rows.length < rows.length) {
    const row = body.insertRow();
    row.append(Object.assign(document.createElement("th"), { scope: "row" }));
    for (const _ of ends) row.insertCell();
  }
  rows.forEach((cells, index) => cells.forEach((words, column) => {
    const cell = body.rows[index].cells[column];
    if (cell.textContent !== words) cell.textContent = words;
  }));
}

function fresh(end) {
  return end && performance.now() - end.at < FRESH_MS ? end : null;
}

function percent(value) {
  return value === undefined || value === null ? "–" : `${(value * 100).toFixed(1)} %`;
}

function unit(value, name) {
  return value === undefined || value === null ? "–" : `${value} ${name}`.trim();
}
