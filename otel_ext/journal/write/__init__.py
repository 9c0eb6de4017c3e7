"""Takes the lines of one process and writes them: buffers, segments, rotation."""

from __future__ import annotations
