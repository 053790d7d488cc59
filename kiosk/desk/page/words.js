// The page's language: chosen by the person, else the browser's. Marked elements carry data-text="key", or
// data-label="key" where nothing is written.
import en from "./words-en.js";
import zh from "./words-zh.js";

const LANGUAGES = { en, zh };
const STORED = "kiosk.language";

let language = localStorage.getItem(STORED) ?? (navigator.language.startsWith("zh") ? "zh" : "en");

export function say(key, values = {}) {
  const text = LANGUAGES[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export function has(key) {
  return key in LANGUAGES[language];
}

export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem(STORED, language);
  label();
}

export function label() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.ariaLabel = say(element.dataset.label);
}

// Written only when it is new: a live region is spoken again each time it is written.
export function write(id, words) {
  const element = document.getElementById(id);
  if (element.textContent !== words) element.textContent = words;
}

export function clock(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const hours = Math.floor(seconds / 3600);
  const rest = `${String(Math.floor((seconds % 3600) / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
  return hours ? `${hours}:${rest}` : rest;
}
