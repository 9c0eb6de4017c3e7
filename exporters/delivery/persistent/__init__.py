"""The persistent queue: keeps records on disk that could not be sent yet."""

from __future__ import annotations
