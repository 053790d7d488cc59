// The bedside view: shows the bed's state and presses its simulated pins.
const RECONNECT_MS = 1000;
const byId = (id) => document.getElementById(id);
let socket = null;
let shown = 0;
let loading = false;

function connect() {
  const address = new URL("state", location.href);
  address.protocol = "ws:";
  socket = new WebSocket(address);
  socket.onmessage = (event) => show(JSON.parse(event.data));
  socket.onclose = () => {
    byId("told").textContent = "The demo has ended.";
    setTimeout(connect, RECONNECT_MS);
  };
}

function show(state) {
  if (byId("told").textContent !== state.told) byId("told").textContent = state.told;
  byId("told").dataset.prompt = state.prompt;
  byId("lamp").classList.toggle("lit", state.lit);
  byId("lamp").dataset.lamp = state.lamp;
  byId("lamp").setAttribute("aria-label", `lamp: ${state.lamp}`);
  byId("level").value = state.level;
  byId("picture").hidden = !state.picture;
  byId("no-picture").hidden = !!state.picture;
  if (state.picture && state.picture !== shown && !loading) {
    loading = true;
    shown = state.picture;
    byId("picture").src = `picture?${shown}`;
  }
}

byId("picture").onload = byId("picture").onerror = () => { loading = false; };

for (const button of document.querySelectorAll("[data-pin]")) {
  const press = (down) => {
    if (button.classList.contains("down") === down) return;
    button.classList.toggle("down", down);
    if (socket.readyState === WebSocket.OPEN) socket.send(`${button.dataset.pin} ${down ? "down" : "up"}`);
  };
  button.onpointerdown = (event) => { button.setPointerCapture(event.pointerId); press(true); };
  button.onpointerup = button.onpointercancel = () => press(false);
  button.onkeydown = (event) => { if (event.key === " " || event.key === "Enter") press(true); };
  button.onkeyup = button.onblur = () => press(false);
}

connect();
