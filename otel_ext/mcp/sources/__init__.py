"""Where traces are from: a folder of records, or a server."""
