// A track of silence, sent while there is no microphone: packets go on, so that their absence means a dead path and
// nothing else. Browsers let it run only after a click or a key, and an accept is one.
export class Silence {
  constructor(changed) {
    this.context = new AudioContext();
    this.context.onstatechange = changed;
    // A destination without a source sends no packets at all.
    const source = new ConstantSourceNode(this.context, { offset: 0 });
    const destination = new MediaStreamAudioDestinationNode(this.context);
    source.connect(destination);
    source.start();
    this.track = destination.stream.getAudioTracks()[0];
  }

  get runs() {
    return this.context.state === "running";
  }

  close() {
    this.context.onstatechange = null;
    this.context.close();
  }
}
