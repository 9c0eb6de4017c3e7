"""The server's routes, on Starlette."""
