"""Lets coding agents look at traces: read-only tools of the Model Context Protocol."""
