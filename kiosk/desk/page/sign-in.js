// From a person, a passphrase, a UserSig or a one-time code to a ticket. The ticket lives as long as the tab, and
// with it what the person chose to be: ready, not ready, resting.
const STORED = "kiosk.ticket";
const CHOICE = "kiosk.choice";
const TIMEOUT_MS = 15_000; // a passphrase takes the desk a moment, one after the other

export function stored() {
  try {
    const ticket = JSON.parse(sessionStorage.getItem(STORED));
    return ticket && (!ticket.expiresAt || ticket.expiresAt * 1000 > Date.now()) ? ticket : null;
  } catch {
    return null;
  }
}

export function keep(ticket) {
  sessionStorage.setItem(STORED, JSON.stringify(ticket));
}

export function forget() {
  sessionStorage.removeItem(STORED);
  forgetChoice();
}

export function choice() {
  return sessionStorage.getItem(CHOICE);
}

export function keepChoice(state) {
  sessionStorage.setItem(CHOICE, state);
}

export function forgetChoice() {
  sessionStorage.removeItem(CHOICE);
}

// The code in the address, which is removed from it at once.
export function codeInAddress() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  return code;
}

// Throws {code, message}.
export async function exchange(body) {
  let response, answer;
  try {
    response = await fetch("api/sign-in", { method: "POST", body: JSON.stringify(body),
      headers: { "content-type": "application/json" }, signal: AbortSignal.timeout(TIMEOUT_MS) });
    answer = await response.json();
  } catch {
    throw { code: "unreachable", message: "" };
  }
  if (!response.ok) throw answer.error;
  keep(answer);
  return answer;
}

export async function fromForm(form) {
  const user = form.user.value.trim();
  if (!form.sig.value) return exchange({ userID: user, passphrase: form.passphrase.value });
  const ticket = { userID: user, sdkAppID: Number(form.app.value), userSig: form.sig.value.trim(), name: user };
  keep(ticket);
  return ticket;
}
