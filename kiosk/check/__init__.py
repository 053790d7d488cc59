"""The self-test: what is measured of a bed's parts, what is found, and in which words."""
