"""The units that ship, on a booted system with a hardware watchdog: run by ``scripts/test-boot`` only."""
