// "Add a colleague": in a talk the person looks for a colleague, and a button asks that seat to join.
import { Finder, foundButton, foundRow } from "./finder.js";
import { say, write } from "./words.js";

const ANEW_MS = 1000; // while it is open: colleagues become free and busy

const section = document.getElementById("add");
let acts = { find: () => {}, ask: () => {} };
let stateOf = () => "";
let refusal = () => "";
let timer = null;

const finder = new Finder(section, {
  ask: (text) => acts.find(text),
  row,
  none: "no_colleague_found",
  more: "more_colleagues",
});

// `find` is given the text, `ask` the id of a seat; `known` gives the state of one who is in, or asked already.
export function wire({ find, ask, known }) {
  acts = { find, ask };
  stateOf = known;
}

export function show({ text, seats, more }) {
  finder.show({ text, found: seats, more });
}

export function open() {
  if (!section.hidden) finder.open();
}

// The board has changed: what was found may be out of date.
export function boardShows() {
  timer ??= setTimeout(() => {
    timer = null;
    if (section.open) finder.look();
  }, ANEW_MS);
}

// Why the desk does not ask a seat in. Told where the button is, which may be far from the page's status; false if
// there is nobody to be told.
export function refused(words) {
  if (section.hidden) return false;
  refusal = words;
  drawRefusal();
  return true;
}

export function drawColleagues(call) {
  const may = call.state === "connected";
  if (!may && !section.hidden) {
    refusal = () => "";
    finder.forget();
  }
  section.hidden = !may;
  if (!may) return;
  drawRefusal();
  finder.redraw();
}

function drawRefusal() {
  write("add-refusal", refusal());
}

function row(seat) {
  const known = stateOf(seat.user_id);
  const words = `${seat.name} · ${say(known ? `member_${known}` : `seat_${seat.state}`)}`;
  const data = { testid: "found-seat", userId: seat.user_id };
  return foundRow(data, words, foundButton("ask_to_join", seat.name, !known, () => ask(seat.user_id)));
}

function ask(userId) {
  refusal = () => "";
  drawRefusal();
  acts.ask(userId);
}
