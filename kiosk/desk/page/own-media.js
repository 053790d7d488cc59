// What the seat sends in one talk, with the bed and with each colleague: its microphone and its camera. Each is wanted
// or not, and is there or not. A microphone that is unplugged is replaced by what else there is; a camera waits until
// somebody switches it on again. Without a microphone silence is sent.
import * as devices from "./devices.js";
import { Silence } from "./silence.js";

// The RTCRtpSender of a kind that a connection has, if it has one.
export function senderOf(pc, kind) {
  return pc.getTransceivers().find((found) => found.receiver.track.kind === kind)?.sender;
}

export class OwnMedia {
  // `pc` is the connection that is there already; `changed` is told after every change.
  constructor({ pc, changed }) {
    this.connections = [pc];
    this.changed = changed;
    this.wanted = { audio: true, video: false };
    this.tracks = { audio: null, video: null };
    this.missing = { audio: "", video: "" }; // the key of the words why one is not there
    this.closed = false;
    this.asked = false; // whether the browser has said if there is a microphone
    this.silence = null; // made when it is needed: it costs time just when a call is accepted
    this.replug = () => this.pluggedIn();
    navigator.mediaDevices?.addEventListener("devicechange", this.replug);
  }

  sends(kind) {
    return this.wanted[kind] && this.tracks[kind] !== null;
  }

  // Packets of sound go on, whatever is on or off: their absence is a dead path.
  get steady() {
    return this.tracks.audio !== null || this.silence?.runs === true;
  }

  // Put everything on a connection that is new, and keep it up to date until it is closed.
  async attach(pc) {
    const others = this.connections.filter((known) => known !== pc && known.signalingState !== "closed");
    this.connections = [...others, pc];
    for (const kind of ["audio", "video"]) await this.carry(kind, pc);
  }

  // A connection that is closed meanwhile needs nothing any more.
  async carry(kind, pc) {
    if (pc.signalingState === "closed") return;
    try {
      await senderOf(pc, kind)?.replaceTrack(this.carried(kind));
    } catch (error) {
      if (pc.signalingState !== "closed") throw error;
    }
  }

  carried(kind) {
    if (this.tracks[kind] || kind === "video" || !this.asked) return this.tracks[kind];
    this.silence ??= new Silence(() => { if (!this.closed) this.changed(); });
    return this.silence.track;
  }

  // For the person: also while it is being opened.
  isOn(kind) {
    return this.wanted[kind] && !this.missing[kind];
  }

  // A microphone that is off stays open, so that it is on at once; a camera that is off is let go.
  async switch(kind, on) {
    this.wanted[kind] = on;
    if (this.tracks.audio) this.tracks.audio.enabled = this.wanted.audio;
    if (on && !this.tracks[kind]) await this.open(kind);
    if (!this.wanted.video && this.tracks.video) await this.put("video", null);
    if (kind === "video" && !on) this.missing.video = "";
    if (!this.closed) this.changed();
  }

  async open(kind) {
    const { track, why } = await devices.open(kind);
    if (this.closed || (kind === "video" && !this.wanted.video)) return track?.stop();
    if (kind === "audio") this.asked = true;
    if (!track && this.tracks[kind]) return;
    this.missing[kind] = why ?? "";
    if (!track && kind === "video") this.wanted.video = false;
    if (!track && kind === "audio") await this.put(kind, null);
    if (!track) return;
    track.onended = () => this.unplugged(kind, track);
    if (kind === "audio") track.enabled = this.wanted.audio;
    await this.put(kind, track);
  }

  async put(kind, track) {
    const before = this.tracks[kind];
    this.tracks[kind] = track;
    await Promise.all(this.connections.map((pc) => this.carry(kind, pc)));
    before?.stop();
  }

  async unplugged(kind, track) {
    if (this.closed || this.tracks[kind] !== track) return;
    this.missing[kind] = "unplugged";
    if (kind === "video") this.wanted.video = false;
    await this.put(kind, null);
    this.changed();
    if (kind === "audio") await this.pluggedIn();
  }

  // Opened anew in any case: a headset that was just plugged in is what the person wants to use.
  async pluggedIn() {
    await this.open("audio");
    if (!this.closed) this.changed();
  }

  close() {
    this.closed = true;
    navigator.mediaDevices?.removeEventListener("devicechange", this.replug);
    for (const track of Object.values(this.tracks)) track?.stop();
    this.silence?.close();
  }
}
