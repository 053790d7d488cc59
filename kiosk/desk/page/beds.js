// "Call a bed": the person types a part of a place, the desk answers with the beds that fit, and a button calls one.
import { place } from "./board.js";
import { Finder, foundButton, foundRow } from "./finder.js";
import { say } from "./words.js";

const AUDIO = 1;
const VIDEO = 2;

let acts = { find: () => {}, call: () => {} };

// What is on the screen may be old: whoever goes on typing, or opens it again, sees it anew.
const finder = new Finder(document.getElementById("find"), {
  ask: (text) => acts.find(text),
  row,
  none: "no_bed_found",
  more: "more_beds",
});

export function wire(actions) {
  acts = actions;
}

export function show({ text, beds, more }) {
  finder.show({ text, found: beds, more });
}

export function forget() {
  finder.forget();
}

export function redraw() {
  finder.redraw();
}

function row(bed) {
  const where = place({ ...bed, bed_user: bed.user_id });
  const button = (key, callType) =>
    foundButton(key, where, bed.online, () => acts.call(bed.user_id, callType, bed.request_id));
  const words = bed.online ? where : `${where} · ${say("bed_offline")}`;
  const data = { testid: "found-bed", userId: bed.user_id, requestId: bed.request_id };
  return foundRow(data, words, button("call_bed", AUDIO), button("call_bed_video", VIDEO));
}
