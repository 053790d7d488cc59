// From a person, a passphrase, a UserSig or a one-time code to a ticket. The ticket lives as long as the tab.
const STORED = "kiosk.ticket";

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
}

// The code in the address, which is removed from it at once.
export function codeInAddress() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  return code;
}

// Throws {code, message}.
export async function exchange(body) {
  let response;
  try {
    response = await fetch("api/sign-in", { method: "POST", body: JSON.stringify(body),
      headers: { "content-type": "application/json" } });
  } catch {
    throw { code: "unreachable", message: "" };
  }
  const answer = await response.json();
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
