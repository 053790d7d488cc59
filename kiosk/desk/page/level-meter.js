// How loud a track is, on a <meter> in dB of full scale. Nothing is heard of it, kept or sent.
const LOOK_EVERY_MS = 100;
const WINDOW = 2048; // samples: 43 ms, about a syllable's shortest sound

export class LevelMeter {
  constructor(element) {
    this.element = element;
    this.track = null;
  }

  // Show this track from now on; null: none. A context is made for as long as there is a track.
  follow(track) {
    if (track === this.track) return;
    this.stop();
    if (!track) return;
    this.track = track;
    this.context = new AudioContext();
    const analyser = new AnalyserNode(this.context, { fftSize: WINDOW });
    new MediaStreamAudioSourceNode(this.context, { mediaStream: new MediaStream([track]) }).connect(analyser);
    const samples = new Float32Array(WINDOW);
    this.timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      this.element.value = decibels(samples);
    }, LOOK_EVERY_MS);
  }

  stop() {
    if (!this.track) return;
    clearInterval(this.timer);
    this.context.close();
    this.track = null;
    this.element.value = this.element.min;
  }
}

function decibels(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  return 10 * Math.log10(power + 1e-10);
}
