// The seat's own microphone and camera. Asked for at sign-in, so that the first answer is quick; the tracks are
// stopped again at once and opened for each call, so that nothing is captured when idle.
export const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
export const VIDEO = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 24 } };

const REASONS = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "not_found",
  OverconstrainedError: "not_found",
  NotReadableError: "in_use",
  AbortError: "in_use",
};

// A track of `kind`, or the key of the words that say why not.
export async function open(kind) {
  if (!navigator.mediaDevices) return { why: "insecure" };
  try {
    const stream = await navigator.mediaDevices.getUserMedia(kind === "audio" ? { audio: AUDIO } : { video: VIDEO });
    return { track: stream.getTracks()[0] };
  } catch (error) {
    return { why: REASONS[error.name] ?? "unknown_reason" };
  }
}

// Ask for both permissions; a refused camera does not block. Returns {audio, video}: "" or why not.
export async function askPermission() {
  const found = {};
  for (const kind of ["audio", "video"]) {
    const { track, why } = await open(kind);
    track?.stop();
    found[kind] = why ?? "";
  }
  return found;
}
