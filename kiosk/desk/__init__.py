"""The desk: allocates seats, relays signaling, serves the seat page."""
