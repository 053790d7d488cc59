"""The device's hardware: one port a file, each with a real and a simulated implementation."""
