// One call at the seat. The answer is made while the page still rings; the seat's own sound and picture are put
// on the connection only when the person accepts.
//
//             incoming   accept       accepted    connected   ended / hang up / reject
// idle        ringing    -            -           -           -
// ringing     (busy)     connecting   -           ringing     idle
// connecting  (busy)     -            connecting  connected   idle
// connected   (busy)     -            -           connected   idle
import * as devices from "./devices.js";
import { note, watchFirst } from "./trace.js";

const AUDIO = 1;
const VIDEO = 2;

export class Call {
  // `send` puts a message on the wire; `changed` is told after every change; `tell` gets a key of the words.
  constructor({ send, changed, tell }) {
    this.send = send;
    this.changed = changed;
    this.tell = tell;
    this.state = "idle";
    this.iceServers = [];
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

  async ring(incoming) {
    note("incoming_call", incoming.call_id);
    if (this.state !== "idle") return this.send({ type: "line_busy", call_id: incoming.call_id });
    Object.assign(this, { state: "ringing", incoming, lastId: incoming.call_id, type: incoming.call_type, muted: false, cameraOn: false,
      farAudio: true, farVideo: true, since: null, remote: new MediaStream(), mic: null, camera: null });
    this.changed();
    note("ringing", this.id);
    try {
      await this.answer(incoming);
    } catch (error) {
      console.error(error);
      this.fail(incoming.call_id, String(error.message ?? error));
    }
  }

  async answer({ call_id, sdp }) {
    const pc = (this.pc = new RTCPeerConnection({
      iceServers: this.iceServers.map((urls) => ({ urls })), bundlePolicy: "max-bundle" }));
    pc.ontrack = ({ track, receiver }) => {
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      this.remote.addTrack(track);
    };
    pc.onicecandidate = ({ candidate }) => {
      if (this.id !== call_id) return;
      this.send({ type: "candidate", call_id, candidate: candidate?.candidate ?? "",
        sdp_mid: candidate?.sdpMid ?? null, sdp_mline_index: candidate?.sdpMLineIndex ?? null });
    };
    pc.onconnectionstatechange = () => this.connectionChanged(pc, call_id);
    await pc.setRemoteDescription({ type: "offer", sdp });
    for (const transceiver of pc.getTransceivers()) transceiver.direction = "sendrecv";
    await pc.setLocalDescription(await pc.createAnswer());
    if (this.id !== call_id) return;
    this.send({ type: "answer", call_id, sdp: pc.localDescription.sdp });
    note("answer_sent", call_id);
  }

  connectionChanged(pc, callId) {
    if (this.pc !== pc) return;
    if (pc.connectionState === "connected") {
      note("pc_connected", callId);
      if (this.state === "connecting") this.begin();
    } else if (pc.connectionState === "failed") {
      this.fail(callId, "no path to the bed");
    }
  }

  async accept() {
    if (this.state !== "ringing") return;
    const { call_id } = this.incoming;
    note("accept_clicked", call_id);
    this.send({ type: "accept", call_id, call_type: this.type });
    this.state = "connecting";
    this.changed();
    await this.openMicrophone(call_id);
    if (this.isVideo && this.id === call_id) await this.setCamera(true);
  }

  // The desk's word: only now is the call ours. It may be audio although video was asked.
  accepted({ call_id, call_type }) {
    if (this.id !== call_id || this.state !== "connecting") return;
    note("accepted", call_id);
    this.type = call_type;
    if (this.pc?.connectionState === "connected") this.begin();
    this.changed();
  }

  begin() {
    this.state = "connected";
    this.since ??= Date.now();
    this.changed();
  }

  async openMicrophone(callId) {
    const { track, why } = await devices.open("audio");
    if (this.id !== callId) return track?.stop();
    if (!track) return this.tell("no_microphone", why);
    this.mic = track;
    track.enabled = !this.muted;
    await this.sender("audio")?.replaceTrack(track);
    this.tellMedia();
  }

  async setCamera(on) {
    const callId = this.id;
    if (!callId || !this.isVideo || on === this.cameraOn) return;
    if (on) {
      const { track, why } = await devices.open("video");
      if (this.id !== callId || !this.isVideo) return track?.stop();
      if (!track) return this.tell("no_camera", why);
      this.camera = track;
    } else {
      this.camera?.stop();
      this.camera = null;
    }
    this.cameraOn = on;
    await this.sender("video")?.replaceTrack(this.camera);
    this.tellMedia();
    this.changed();
  }

  setMuted(muted) {
    if (this.state === "idle") return;
    this.muted = muted;
    if (this.mic) this.mic.enabled = !muted;
    this.tellMedia();
    this.changed();
  }

  switchToAudio() {
    if (!this.isVideo || this.state !== "connected") return;
    this.send({ type: "switch_to_audio", call_id: this.id });
    this.becomeAudio();
  }

  becomeAudio() {
    this.setCamera(false);
    this.type = AUDIO;
    this.remote.getVideoTracks().forEach((track) => this.remote.removeTrack(track));
    this.tell("switched");
    this.changed();
  }

  reject() {
    if (this.state !== "ringing") return;
    this.send({ type: "reject", call_id: this.id });
    this.over();
  }

  hangUp() {
    if (this.state === "ringing") return this.reject();
    if (this.state === "idle") return;
    this.send({ type: "hangup", call_id: this.id });
    this.over();
  }

  fail(callId, why) {
    if (this.id !== callId) return;
    this.send({ type: "call_failed", call_id: callId, why: why.slice(0, 200) });
    this.over();
    this.tell("end_failed");
  }

  ended({ call_id }) {
    if (this.id !== call_id) return false;
    note("call_ended", call_id);
    this.over();
    return true;
  }

  farMedia({ call_id, audio, video }) {
    if (this.id !== call_id) return;
    this.farAudio = audio;
    this.farVideo = video;
    this.changed();
  }

  farSwitchedToAudio({ call_id }) {
    if (this.id === call_id && this.isVideo) this.becomeAudio();
  }

  // Start measuring; the page calls it when the remote stream is on the screen.
  measure(video) {
    watchFirst(video, this.remote, this.id);
  }

  tellMedia() {
    if (this.acceptedId === null) return;
    this.send({ type: "media_state", call_id: this.id, audio: !!this.mic && !this.muted, video: this.cameraOn });
  }

  sender(kind) {
    return this.pc?.getTransceivers().find((found) => found.receiver.track.kind === kind)?.sender;
  }

  over() {
    this.state = "idle";
    this.mic?.stop();
    this.camera?.stop();
    this.mic = this.camera = null;
    const pc = this.pc;
    this.pc = null;
    pc?.close();
    this.changed();
  }
}
