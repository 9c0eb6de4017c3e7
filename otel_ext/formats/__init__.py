"""Traces in the formats of other tools, to write and to read."""
