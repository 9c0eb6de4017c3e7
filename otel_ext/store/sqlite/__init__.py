"""Keeps the store in files of SQLite, one a day."""
