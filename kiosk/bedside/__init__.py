"""The patient's device: from an edge on a pin to a request, a call, a lamp and words."""
