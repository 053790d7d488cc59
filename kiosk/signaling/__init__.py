"""The messages on the wire, shared by kiosk, desk and any other client; and the kiosk's client."""
