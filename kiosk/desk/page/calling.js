// While this seat calls a bed: which one, whether it rings there, and a way to take it back.
import * as board from "./board.js";
import { say, write } from "./words.js";

const byId = (id) => document.getElementById(id);
let focusedBefore = null;

export function drawCalling(call) {
  const shown = call.state === "calling" || (call.state === "ringing" && call.outgoing);
  if (shown) {
    const key = call.rings ? "bed_rings" : "bed_is_called";
    write("calling-words", say(key, { place: board.place(call.incoming.request) }));
  }
  if (shown === !byId("calling").hidden) return;
  byId("calling").hidden = !shown;
  if (shown) {
    focusedBefore = document.activeElement;
    byId("cancel-call").focus();
  } else if (call.state === "idle" && document.contains(focusedBefore)) {
    focusedBefore.focus();
  }
}
