// The bedside view: shows the bed's state and presses its simulated pins.
const RECONNECT_MS = 1000;
const STORED = "kiosk.language"; // shared with the seat page where both have the same origin
const WORDS = {
  en: {
    title: "Bedside view (demo)",
    language: "中文",
    note: "Bedside view: demo only. A real bed has this button, this lamp and a speaker.",
    call: "Call",
    cancel: "Cancel",
    cancel_how: "hold for a second; in a call: press to hang up",
    attend: "Nurse at the bed",
    attend_how: "closes the request",
    bathroom: "Bathroom cord",
    bathroom_how: "urgent; only a nurse at the bed ends it",
    staff: "Staff need help",
    staff_how: "emergency; only a nurse at the bed ends it",
    no_picture: "The patient sees no picture now.",
    sees: "What the patient sees",
    hears: "What the patient hears",
    lamp_off: "Lamp: off",
    lamp_on: "Lamp: on",
    relay_open: "Relay to the certified nurse call: open",
    relay_closed: "Relay to the certified nurse call: closed, the other bell rings",
    ended: "The demo has ended.",
  },
  zh: {
    title: "床旁视图（演示）",
    language: "English",
    note: "床旁视图：仅供演示。真实床位有这个按钮、这盏灯和一个扬声器。",
    call: "呼叫",
    cancel: "取消",
    cancel_how: "按住一秒；通话中按一下即挂断",
    attend: "护士已到床旁",
    attend_how: "结束请求",
    bathroom: "卫生间拉绳",
    bathroom_how: "紧急；护士到床旁才能结束",
    staff: "医护求助",
    staff_how: "危急；护士到床旁才能结束",
    no_picture: "患者现在看不到画面。",
    sees: "患者看到的画面",
    hears: "患者听到的声音",
    lamp_off: "灯：灭",
    lamp_on: "灯：亮",
    relay_open: "接至认证呼叫系统的继电器：断开",
    relay_closed: "接至认证呼叫系统的继电器：闭合，另一个呼叫铃正在响",
    ended: "演示已结束。",
  },
};

const byId = (id) => document.getElementById(id);
let language = localStorage.getItem(STORED) ?? (navigator.language.startsWith("zh") ? "zh" : "en");
let socket = null;
let state = null;
let shown = 0;
let loading = false;

const say = (key) => WORDS[language][key];

function connect() {
  const address = new URL("state", location.href);
  address.protocol = "ws:";
  socket = new WebSocket(address);
  socket.onmessage = (event) => {
    state = JSON.parse(event.data);
    draw();
  };
  socket.onclose = () => {
    state = null;
    draw();
    setTimeout(connect, RECONNECT_MS);
  };
}

function draw() {
  const told = state ? (state.told[language] ?? "") : say("ended");
  if (byId("told").textContent !== told) byId("told").textContent = told;
  byId("told").dataset.prompt = state?.prompt ?? "ended";
  byId("lamp").classList.toggle("lit", !!state?.lit);
  byId("lamp").dataset.lamp = state?.lamp ?? "off";
  byId("lamp").ariaLabel = say(state?.lit ? "lamp_on" : "lamp_off");
  drawRelay(!!state?.relay);
  byId("level").value = state?.level ?? byId("level").min;
  for (const button of document.querySelectorAll("[data-pin]")) button.disabled = !state;
  drawPicture(state?.picture ?? 0);
}

function drawRelay(closed) {
  const words = say(closed ? "relay_closed" : "relay_open");
  if (byId("relay").textContent !== words) byId("relay").textContent = words;
  byId("relay").classList.toggle("closed", closed);
  byId("relay").dataset.relay = closed ? "closed" : "open";
}

// The caption stays until there is a picture to take its place.
function drawPicture(number) {
  if (!number) {
    byId("picture").hidden = true;
    byId("no-picture").hidden = false;
    shown = 0;
  } else if (number !== shown && !loading) {
    loading = true;
    shown = number;
    byId("picture").src = `picture?${number}`;
  }
}

byId("picture").onload = () => {
  loading = false;
  byId("picture").hidden = !shown;
  byId("no-picture").hidden = !!shown;
};
byId("picture").onerror = () => { loading = false; };

function label() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  byId("picture").alt = say("sees");
}

byId("language").onclick = () => {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem(STORED, language);
  label();
  draw();
};

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

label();
connect();
