"""The store of traces: what the server and its viewer ask, kept in SQLite or elsewhere."""
