"""Answers what a viewer asks, as JSON: no web framework here, only questions and documents."""
