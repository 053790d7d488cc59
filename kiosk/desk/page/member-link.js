// One connection with one other seat of the same talk. It is offered or answered once, and is over when it is lost: the
// mesh (mesh.js) then makes another.
import { senderOf } from "./own-media.js";
import { awaitRepeats } from "./repeats.js";

const CONNECT_TIMEOUT_MS = 5000; // as long as the bed gives a connection that it rebuilds
const INTERRUPTED_MS = 3000; // a path that comes back by itself does so sooner
// Tiles are small, and each seat encodes its picture once for each of the others.
const SMALL_PICTURE = { maxBitrate: 200_000, maxFramerate: 15, scaleResolutionDownBy: 2 };

export class MemberLink {
  // `pictures`: this seat wants and sends them; `own` is what it sends. `signal` puts a message of the mesh on the wire;
  // `changed` is told when it is connected or interrupted, `lost` when nothing will come of it any more.
  constructor({ iceServers, pictures, own, signal, changed, lost }) {
    Object.assign(this, { pictures, own, signal, changed, lost, remote: new MediaStream() });
    const pc = (this.pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" }));
    pc.ontrack = ({ track }) => {
      this.remote.addTrack(track);
      this.changed();
    };
    pc.onicecandidate = ({ candidate }) => this.signal("member_candidate", {
      candidate: candidate?.candidate ?? "", sdp_mid: candidate?.sdpMid ?? null,
      sdp_mline_index: candidate?.sdpMLineIndex ?? null });
    pc.onconnectionstatechange = () => this.stateChanged();
    awaitRepeats(pc);
    this.endsIn(CONNECT_TIMEOUT_MS);
  }

  get connected() {
    return this.pc.connectionState === "connected";
  }

  get closed() {
    return this.pc.signalingState === "closed";
  }

  // An offer is out and nobody has answered it yet.
  get isOffering() {
    return this.pc.signalingState === "have-local-offer";
  }

  offer() {
    return this.orLost(async () => {
      for (const kind of this.pictures ? ["audio", "video"] : ["audio"]) this.pc.addTransceiver(kind);
      await this.own.attach(this.pc);
      await this.pc.setLocalDescription();
      this.signal("member_offer", { sdp: this.pc.localDescription.sdp });
    });
  }

  answer(sdp) {
    return this.orLost(async () => {
      await this.pc.setRemoteDescription({ type: "offer", sdp });
      for (const transceiver of this.pc.getTransceivers()) {
        const wanted = this.pictures || transceiver.receiver.track.kind === "audio";
        transceiver.direction = wanted ? "sendrecv" : "inactive";
      }
      await this.own.attach(this.pc);
      await this.pc.setLocalDescription();
      this.signal("member_answer", { sdp: this.pc.localDescription.sdp });
      await this.keepPictureSmall();
    });
  }

  answered(sdp) {
    return this.orLost(async () => {
      await this.pc.setRemoteDescription({ type: "answer", sdp });
      await this.keepPictureSmall();
    });
  }

  // One that is meant for an earlier connection does not fit and is none of ours.
  async candidate({ candidate, sdp_mid, sdp_mline_index }) {
    if (!candidate) return;
    try {
      await this.pc.addIceCandidate({ candidate, sdpMid: sdp_mid, sdpMLineIndex: sdp_mline_index });
    } catch (error) {
      if (!this.closed) console.warn(error);
    }
  }

  async keepPictureSmall() {
    const sender = senderOf(this.pc, "video");
    const parameters = sender?.getParameters();
    if (!parameters?.encodings.length) return;
    Object.assign(parameters.encodings[0], SMALL_PICTURE);
    await sender.setParameters(parameters).catch(console.warn); // a large one is shown as well
  }

  // What fails after the end does not matter: the other side has left in the middle of it.
  async orLost(act) {
    try {
      await act();
    } catch (error) {
      if (this.closed) return;
      console.error(error);
      this.lost();
    }
  }

  stateChanged() {
    const { connectionState } = this.pc;
    if (connectionState === "connected") clearTimeout(this.timer);
    if (connectionState === "disconnected") this.endsIn(INTERRUPTED_MS);
    if (connectionState === "failed") return this.lost();
    this.changed();
  }

  endsIn(milliseconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.lost(), milliseconds);
  }

  close() {
    clearTimeout(this.timer);
    this.pc.onconnectionstatechange = this.pc.onicecandidate = this.pc.ontrack = null;
    this.pc.close();
  }
}
