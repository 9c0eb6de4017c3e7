"""Records: what they are, how they are made from spans, written as lines and read back."""

from __future__ import annotations
