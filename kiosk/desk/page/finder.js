// A search in the page: the person types a part of a name, the desk answers with what fits, and each is a row.
import { say, write } from "./words.js";

const TYPING_MS = 200; // the desk is asked when the person pauses

export class Finder {
  // `section` is a <details> with one input and one list, and a line of words whose id is its own and "-more". `ask` is
  // given the text; `row` makes the line of one thing found; `none` and `more` are the keys of the words for nothing and
  // for how many more there are.
  constructor(section, { ask, row, none, more }) {
    Object.assign(this, { section, ask, row, none, more, found: [], count: null, timer: null });
    this.input = section.querySelector("input");
    this.list = section.querySelector("ul");
    section.ontoggle = () => { if (section.open) this.look(); };
    this.input.oninput = () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.look(), TYPING_MS);
    };
  }

  get text() {
    return this.input.value.trim();
  }

  look() {
    this.ask(this.text);
  }

  open() {
    this.section.open = true;
    this.input.focus();
  }

  // An answer to an older question than the one that is asked now is not shown.
  show({ text, found, more }) {
    if (text !== this.text) return;
    Object.assign(this, { found, count: more });
    this.redraw();
  }

  forget() {
    clearTimeout(this.timer);
    Object.assign(this, { found: [], count: null });
    this.input.value = "";
    this.section.open = false;
    this.redraw();
  }

  // Rows that are the same stay: a button is not exchanged under a finger. Who stands on one stays on it.
  redraw() {
    write(`${this.section.id}-more`, this.moreWords());
    const fresh = document.createElement("ul");
    fresh.append(...this.found.map((each) => this.row(each)));
    if (fresh.innerHTML === this.list.innerHTML) return;
    const focused = this.list.contains(document.activeElement) ? document.activeElement : null;
    this.list.replaceChildren(...fresh.children);
    if (!focused) return;
    const row = `[data-user-id="${CSS.escape(focused.parentElement.dataset.userId)}"]`;
    (this.list.querySelector(`${row} [data-testid="${focused.dataset.testid}"]:enabled`) ?? this.input).focus();
  }

  moreWords() {
    if (this.count === null) return "";
    if (!this.found.length) return say(this.none);
    return this.count ? say(this.more, { count: this.count }) : "";
  }
}

// One line of the list: what was found, and what can be done with it. `data` is all that its buttons act on.
export function foundRow(data, words, ...buttons) {
  const line = document.createElement("li");
  Object.assign(line.dataset, data);
  const name = document.createElement("span");
  name.className = "place";
  name.textContent = words;
  line.append(name, ...buttons.flatMap((button) => [" ", button]));
  return line;
}

export function foundButton(key, name, enabled, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = say(key);
  made.disabled = !enabled;
  made.dataset.testid = key.replaceAll("_", "-");
  made.setAttribute("aria-label", `${say(key)}: ${name}`);
  made.onclick = act;
  return made;
}
