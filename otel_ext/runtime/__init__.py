"""What keeps our own machinery from harming the program: guard, counters, worker, forks."""

from __future__ import annotations
