// Measuring: with ?trace in the address the page notes the moments of each call in window.kioskTrace.
const on = new URLSearchParams(location.search).has("trace");
if (on) window.kioskTrace = [];

export function note(event, callId = "") {
  if (on) window.kioskTrace.push({ event, at: performance.timeOrigin + performance.now(), call_id: callId });
}

// The first picture that is really painted, and the first sound above the threshold, after the accept.
export function watchFirst(video, stream, callId) {
  if (!on) return;
  video.requestVideoFrameCallback?.(() => note("first_video_frame", callId));
  if (!stream.getAudioTracks().length) return;
  const context = new AudioContext();
  const meter = new AnalyserNode(context, { fftSize: 256 });
  new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(meter);
  const samples = new Float32Array(meter.fftSize);
  const look = setInterval(() => {
    meter.getFloatTimeDomainData(samples);
    if (!samples.some((sample) => Math.abs(sample) > 0.003) && stream.active) return;
    if (stream.active) note("first_audio", callId);
    clearInterval(look);
    context.close();
  }, 5);
}
