"""Traces for the commands that show them: options, reading, choice, following."""
