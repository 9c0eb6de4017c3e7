"""Feeds a store with the records of a folder, live or all at once."""
