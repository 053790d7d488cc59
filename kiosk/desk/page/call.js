// One call at the seat. The answer is made while the page still rings; the seat's own sound and picture are put
// on the connection only when the person accepts.
//
//             incoming   accept       confirmed + media   link lost   ended / hang up / reject / time-out
// idle        ringing    -            -                   -           -           (this page calls a bed: calling)
// calling     ringing    -            -                   idle        idle
// ringing     (busy)     connecting   -                   idle        idle
// connecting  (busy)     -            connected           -           idle
// connected   (busy)     -            -                   -           idle
//
// A bed that this page calls answers with an invitation of its own, which is answered and accepted without asking.
//
// Every wait has an end: the ringing RING_GUARD_MS after the desk's own time-out, the connection CONNECT_TIMEOUT_MS
// after the accept, an interrupted call REBUILD_GUARD_MS after the interruption. A lost desk ends only what nobody
// could accept any more;
// when it is back its board tells (`boardShows`) whether it still has our call. A desk that was restarted does not
// know the call until the bed has told it, and until then nothing is concluded.
//
// A connected call whose media path is dead is interrupted: the bed is told (`media_stalled`), if it does not know, and
// offers a new connection (`rebuild`), which is answered at once with the same own tracks. Each connection has a number;
// an old one's late events mean nothing.
import { OwnMedia } from "./own-media.js";
import { watchPath } from "./path-watch.js";
import { QualityWatch } from "./quality.js";
import { awaitRepeats } from "./repeats.js";
import { note, watchFirst } from "./trace.js";

const AUDIO = 1;
const VIDEO = 2;
const FROM_SEAT = "seat";
const RING_GUARD_MS = 5000;
const CONNECT_TIMEOUT_MS = 10_000; // that of the bed (kiosk/bedside/call.py)
const ABSENT_SHOWN_MS = 2000;
const ABSENT_TOLD_MS = 2500; // the bed's own limit; what it notices as well does no harm
const CONNECTED_ONCE = new Set(["connected", "disconnected"]);
const REBUILD_GUARD_MS = 16_000; // the bed gives up first: it tries twice, 5 s each

export class Call {
  // `send` puts a message on the wire, false when there is none; `changed` is told after every change; `tell` gets
  // the key of the words for what this page did not do itself, and whether they are a warning; `measured` when
  // either end has told how good the connection is (`here`, `there`: the wire's words, and when).
  constructor({ send, changed, tell, measured }) {
    this.send = send;
    this.changed = changed;
    this.tell = tell;
    this.measured = measured;
    this.quality = new QualityWatch({
      connection: () => (this.interrupted ? null : this.pc), told: (quality) => this.measuredHere(quality) });
    this.state = "idle";
    this.me = ""; // who is signed in, and the servers for its connections
    this.iceServers = [];
    this.outgoing = false;
  }

  get id() {
    return this.state === "idle" ? null : this.incoming.call_id;
  }

  // The call of which a reconnecting page says that it is in it.
  get acceptedId() {
    return this.state === "connecting" || this.state === "connected" ? this.id : null;
  }

  get isVideo() {
    return this.type === VIDEO;
  }

  get interrupted() {
    if (this.state !== "connected") return false;
    return this.pc.connectionState !== "connected" || this.absentMs >= ABSENT_SHOWN_MS;
  }

  // The desk calls a bed for this page.
  callsOut({ call_id, call_type, request, ring_timeout_ms }) {
    if (this.state !== "idle") return this.send({ type: "cancel", call_id });
    this.begin("calling", { call_id, call_type, request }, { outgoing: true });
    this.waitAtMost(ring_timeout_ms + RING_GUARD_MS, () => this.lost("bed_end_no_response"));
    this.changed();
  }

  farRings({ call_id }) {
    if (this.id !== call_id || this.state !== "calling") return;
    this.rings = true;
    note("far_rings", call_id);
    this.changed();
  }

  begin(state, incoming, { taken = false, outgoing = false }) {
    const { call_id, call_type, request } = incoming;
    this.asked = request.origin !== FROM_SEAT; // somebody at the bed, who may want somebody to come
    this.joined = !!incoming.members?.length; // a colleague talks with the bed and asks us to join
    Object.assign(this, { state, incoming, taken, outgoing, rings: false, lastId: call_id, type: call_type, told: "",
      confirmed: false, hungUp: false, farAudio: true, farVideo: true, devices: request.devices, since: null,
      remote: new MediaStream(), connection: 0, farSends: false, absentMs: 0, guarded: false, stalledTold: null,
      here: null, there: null });
  }

  // `taken`: the person has clicked on this request already, so it is accepted as soon as the answer is made.
  async ring(incoming, taken = false) {
    note("incoming_call", incoming.call_id);
    const { call_id, ring_timeout_ms } = incoming;
    const outgoing = this.state === "calling" && this.id === call_id;
    if (this.state !== "idle" && !outgoing) return this.send({ type: "line_busy", call_id });
    taken ||= outgoing;
    this.begin("ringing", incoming, { taken, outgoing });
    this.waitAtMost(ring_timeout_ms + RING_GUARD_MS, () => this.lost("end_no_response"));
    this.changed();
    note("ringing", this.id);
    try {
      await this.answer(incoming);
      if (taken && this.id === call_id) this.accept();
    } catch (error) {
      console.error(error);
      this.fail(call_id, String(error.message ?? error));
    }
  }

  async answer({ call_id, sdp }) {
    const pc = (this.pc = new RTCPeerConnection({
      iceServers: this.iceServers, bundlePolicy: "max-bundle" }));
    const { connection, remote } = this;
    pc.ontrack = ({ track }) => remote.addTrack(track);
    pc.onicecandidate = ({ candidate }) => {
      if (this.pc !== pc) return;
      this.send({ type: "candidate", call_id, connection, candidate: candidate?.candidate ?? "",
        sdp_mid: candidate?.sdpMid ?? null, sdp_mline_index: candidate?.sdpMLineIndex ?? null });
    };
    pc.onconnectionstatechange = () => this.connectionChanged(pc, call_id);
    watchPath(pc, {
      expects: () => this.pc === pc && this.farSends && CONNECTED_ONCE.has(pc.connectionState),
      told: (milliseconds) => this.absentFor(milliseconds, pc),
    });
    awaitRepeats(pc);
    await pc.setRemoteDescription({ type: "offer", sdp });
    for (const transceiver of pc.getTransceivers()) transceiver.direction = "sendrecv";
    await this.own?.attach(pc);
    await pc.setLocalDescription(await pc.createAnswer());
    if (this.pc !== pc) return;
    this.send({ type: "answer", call_id, connection, sdp: pc.localDescription.sdp });
    note("answer_sent", call_id);
  }

  connectionChanged(pc, callId) {
    if (this.pc !== pc) return;
    if (pc.connectionState === "connected") note("pc_connected", callId);
    if (pc.connectionState === "failed") {
      if (this.state !== "connected") return this.fail(callId, "no path to the bed");
      this.tellStalled();
    }
    this.beginIfReady();
    this.guard();
    this.changed();
  }

  absentFor(milliseconds, pc) {
    if (this.pc !== pc) return;
    const before = this.interrupted;
    this.absentMs = milliseconds;
    if (milliseconds >= ABSENT_TOLD_MS) this.tellStalled();
    if (this.interrupted === before) return;
    note(before ? "restored" : "interrupted", this.id);
    this.guard();
    this.changed();
  }

  // Once for each connection.
  tellStalled() {
    const { id, connection } = this;
    if (this.stalledTold === connection) return;
    if (this.send({ type: "media_stalled", call_id: id, connection })) this.stalledTold = connection;
  }

  // An interruption has an end, too.
  guard() {
    const { id, interrupted } = this;
    if (interrupted === this.guarded) return;
    this.guarded = interrupted;
    if (interrupted) this.waitAtMost(REBUILD_GUARD_MS, () => this.fail(id, "the path to the bed is lost"));
    else clearTimeout(this.timer);
  }

  // The bed offers a new connection for this call.
  async rebuild({ call_id, connection, sdp }) {
    if (this.acceptedId !== call_id || connection <= this.connection) return;
    note("rebuild", call_id);
    this.pc.close();
    Object.assign(this, { connection, absentMs: 0, remote: new MediaStream() });
    const answering = this.answer({ call_id, sdp });
    this.guard();
    this.changed();
    try {
      await answering;
    } catch (error) {
      console.error(error); // the bed tries again, or gives up
    }
  }

  async accept() {
    if (this.state !== "ringing") return;
    const { call_id } = this.incoming;
    note("accept_clicked", call_id);
    if (!this.send({ type: "accept", call_id, call_type: this.type })) return this.lost("end_seat_lost");
    this.state = "connecting";
    const seconds = CONNECT_TIMEOUT_MS / 1000;
    this.waitAtMost(CONNECT_TIMEOUT_MS, () => this.fail(call_id, `no media ${seconds} s after the accept`));
    const own = (this.own = new OwnMedia({ pc: this.pc, changed: () => this.ownChanged() }));
    this.changed();
    await own.open("audio");
    if (!own.closed) this.ownChanged();
    if (this.isVideo && !own.closed) await own.switch("video", true);
  }

  // The desk's word: only now is the call ours. It may be audio although video was asked.
  accepted({ call_id, call_type }) {
    if (this.id !== call_id || this.state !== "connecting" || this.confirmed) return;
    note("accepted", call_id);
    this.confirmed = true;
    this.type = call_type;
    if (!this.isVideo) this.own.switch("video", false);
    this.beginIfReady();
    this.changed();
  }

  beginIfReady() {
    if (this.state !== "connecting" || !this.confirmed || this.pc?.connectionState !== "connected") return;
    clearTimeout(this.timer);
    this.state = "connected";
    this.since ??= Date.now();
    this.quality.start();
  }

  setMuted(muted) {
    this.own?.switch("audio", !muted);
  }

  setCamera(on) {
    if (this.isVideo) this.own?.switch("video", on);
  }

  switchToAudio() {
    if (!this.isVideo || this.state !== "connected") return;
    this.send({ type: "switch_to_audio", call_id: this.id });
    this.becomeAudio();
  }

  becomeAudio() {
    this.type = AUDIO;
    this.remote.getVideoTracks().forEach((track) => this.remote.removeTrack(track));
    this.own.switch("video", false);
    this.tell("switched", false);
    this.changed();
  }

  reject() {
    if (this.state !== "ringing") return;
    this.send({ type: "reject", call_id: this.id });
    this.over();
  }

  hangUp() {
    if (this.outgoing && (this.state === "calling" || this.state === "ringing")) return this.cancel();
    if (this.state === "ringing") return this.reject();
    if (this.state === "idle") return;
    this.hungUp = true;
    this.send({ type: "hangup", call_id: this.id });
    this.over();
  }

  cancel() {
    this.send({ type: "cancel", call_id: this.id });
    this.over();
  }

  fail(callId, why) {
    if (this.id !== callId) return;
    this.send({ type: "call_failed", call_id: callId, why: why.slice(0, 200) });
    this.lost("end_failed");
  }

  lost(key) {
    this.over();
    this.tell(key, true);
  }

  ended({ call_id }) {
    if (this.id !== call_id) return false;
    note("call_ended", call_id);
    this.over();
    return true;
  }

  // True: this page is no longer in the call. A desk that was restarted knows nothing yet of a call that is on.
  refused({ call_id }) {
    if (this.state === "connected" && this.id === call_id) {
      this.told = "";
      return false;
    }
    return this.ended({ call_id });
  }

  linkLost() {
    if (this.state === "ringing" || this.state === "calling") this.over();
  }

  boardShows({ me, requests }) {
    if (this.state === "idle") return;
    const ours = requests.find(({ request_id }) => request_id === this.incoming.request.request_id);
    this.devices = ours?.devices ?? this.devices;
    this.asked = ours ? ours.origin !== FROM_SEAT : this.asked;
    // Of several seats in a talk the board names one.
    const talksHere = ours?.state === "talking" && (ours.seat === me.user_id || me.state === "busy");
    const unanswered = !this.confirmed && !talksHere && me.state !== "ringing";
    // A bed that is offline may come back and say that it talks with us; the desk will believe it.
    const givenAway = this.confirmed && ours?.online && !talksHere;
    if (unanswered || givenAway) return this.lost(ours?.state === "answered" ? "end_meanwhile" : "end_seat_lost");
    if (talksHere) {
      this.accepted({ call_id: this.id, call_type: Math.min(this.type, ours.call_type) });
      this.tellMedia();
    }
    this.changed();
  }

  farMedia({ call_id, audio, video, steady }) {
    if (this.id !== call_id) return;
    this.farSends = audio || steady;
    this.farAudio = audio;
    this.farVideo = video;
    this.changed();
  }

  measuredHere(quality) {
    this.here = { ...quality, at: performance.now() };
    this.send({ type: "quality", call_id: this.id, ...quality });
    this.measured();
  }

  farQuality({ call_id, ...quality }) {
    if (this.id !== call_id || this.state !== "connected") return;
    this.there = { ...quality, at: performance.now() };
    this.measured();
  }

  farSwitchedToAudio({ call_id }) {
    if (this.id === call_id && this.isVideo) this.becomeAudio();
  }

  // Start measuring; the page calls it when the remote stream is on the screen.
  measure(video) {
    watchFirst(video, this.remote, this.id);
  }

  ownChanged() {
    this.tellMedia();
    this.changed();
  }

  // The far end hears what it gets, once, and again when that could not be said.
  tellMedia() {
    if (this.acceptedId === null || !this.own) return;
    const { own } = this;
    const message = { type: "media_state", call_id: this.id, audio: own.sends("audio"), video: own.sends("video"),
      steady: own.steady };
    const telling = JSON.stringify(message);
    if (telling !== this.told && this.send(message)) this.told = telling;
  }

  waitAtMost(milliseconds, act) {
    clearTimeout(this.timer);
    this.timer = setTimeout(act, milliseconds);
  }

  over() {
    clearTimeout(this.timer);
    this.quality.stop();
    this.state = "idle";
    this.own?.close();
    this.own = null;
    const pc = this.pc;
    this.pc = null;
    pc?.close();
    this.changed();
  }
}
