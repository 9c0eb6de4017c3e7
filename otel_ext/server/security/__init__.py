"""Protects the server: who may ask, how much a request may cost, what an answer reveals.

- access.py: which addresses are the server's own, and whether a token is needed.
- limits.py: all sizes, times and counts.
- serving.py: puts everything around an application: `secured` and `server_config`.
- origin_check.py, token_gate.py, tokens.py: refuse requests of other sites and of strangers.
- bodies.py, inflate.py: read request bodies within the limits.
- protocol.py, connections.py: deadlines, sizes and counts that only the connection knows.
- answers.py, failures.py, response_headers.py: the form of errors, and headers of all answers.

A request passes, in this order: the connection's limits, the headers and errors of all answers,
the Host and Origin check, the token, and then the application, whose routes read bodies only
with `BodyReader`.
"""

from __future__ import annotations
