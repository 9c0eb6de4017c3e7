"""Makes `python -m otel_ext` the same as the command `otel-ext`."""

from __future__ import annotations

import sys

from otel_ext.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
