"""Stores records beside the server, in a process of its own.

A thread of the server would wait for the interpreter at each row of SQLite while others parse:
written so, 1,000 rows took half a second instead of four milliseconds.
"""
