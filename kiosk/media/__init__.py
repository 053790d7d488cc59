"""The WebRTC session at the bed and the tracks that feed it."""
