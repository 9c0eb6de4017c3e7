"""What a setting is: its declaration, its type, its units. Each part declares its own settings."""

from __future__ import annotations
