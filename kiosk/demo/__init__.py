"""The demonstration: desk, one simulated bed and a bedside view in one command."""
