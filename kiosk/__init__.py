"""Bedside call kiosk: one press at the bed, a seat rings, both see and hear each other."""

__version__ = "0.1.0"
