// The connection to the desk: login, heartbeat, coming back. The messages are those of kiosk/signaling/WIRE.md.
import { note } from "./trace.js";

const PROTOCOL_VERSION = 1;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 8000;
const MISSED_HEARTBEATS = 3;
const SILENCE_LIMIT_MS = 8000;
const LOGIN_TIMEOUT_MS = 5000;
const FINAL = new Set(["bad_user_id", "sig_malformed", "sig_foreign", "sig_expired", "sig_not_yet_valid", "version"]);

// `events` is an EventTarget that receives: up (login_ok), down, refused (fault), kicked, message.
export class Wire {
  constructor(ticket, callId) {
    this.ticket = ticket;
    this.callId = callId; // () => id of the call the page is in, told at each login
    this.events = new EventTarget();
    this.retries = 0;
    this.stopped = false;
    this.nextId = 0;
  }

  start(takeover = true) {
    this.stopped = false;
    const address = new URL("ws", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.search = address.hash = "";
    const socket = (this.socket = new WebSocket(address));
    this.up = false;
    this.listenFor(LOGIN_TIMEOUT_MS);
    socket.onopen = () => {
      note("ws_open");
      const { userID, sdkAppID, userSig } = this.ticket;
      this.raw({ type: "login", user_id: userID, sdk_app_id: sdkAppID, user_sig: userSig,
        version: PROTOCOL_VERSION, takeover, call_id: this.callId() });
    };
    socket.onmessage = (event) => this.received(JSON.parse(event.data));
    socket.onclose = () => this.lost(socket);
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.silence);
    clearTimeout(this.retry);
    this.socket?.close();
  }

  // True when it could be sent; what is lost with the connection is told again by the board.
  send(message) {
    if (!this.up || this.socket.readyState !== WebSocket.OPEN) return false;
    this.raw(message);
    return true;
  }

  ask(message) {
    return this.send({ ...message, id: String(++this.nextId) });
  }

  raw(message) {
    this.socket.send(JSON.stringify(message));
  }

  received(message) {
    this.listenFor(this.heartbeat);
    if (message.type === "ping") return this.raw({ type: "pong" });
    if (message.type === "login_ok") {
      this.up = true;
      this.retries = 0;
      this.heartbeat = Math.min(SILENCE_LIMIT_MS, MISSED_HEARTBEATS * message.heartbeat_ms);
      note("login_ok");
      return this.tell("up", message);
    }
    if (message.type === "kicked_out") {
      this.stop();
      return this.tell("kicked", message);
    }
    if (message.type === "fault" && !this.up) {
      if (FINAL.has(message.code)) this.stop();
      return this.tell("refused", message);
    }
    this.tell("message", message);
  }

  listenFor(milliseconds) {
    clearTimeout(this.silence);
    const socket = this.socket;
    this.silence = setTimeout(() => { socket.close(); this.lost(socket); }, milliseconds ?? LOGIN_TIMEOUT_MS);
  }

  lost(socket) {
    if (socket !== this.socket || this.stopped) return;
    this.socket = null;
    this.up = false;
    clearTimeout(this.silence);
    this.tell("down", {});
    const ceiling = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.retries++);
    this.retry = setTimeout(() => this.start(), ceiling / 2 + (Math.random() * ceiling) / 2);
  }

  tell(kind, detail) {
    this.events.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
