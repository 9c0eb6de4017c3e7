"""Turns the bodies of requests into lines of records, without reading or writing anything else.

A caller passes the bytes of a body, no longer compressed and within its limit of size. It gets an
`Ingested` with the lines to append to a file, or a `MalformedError`, and nothing else is raised.

- `otlp.traces`: `read_traces` and `read_traces_json` for OTLP's spans.
- `otlp.logs`: `read_logs` and `read_logs_json` for OTLP's log records. Those that otel-ext's own
  exporter has made of its records become these records again.
- `lines`: `read_lines` for lines of records.

All share one `Numbers`, and `IngestLimits`. They may run on several threads at a time.
"""

from __future__ import annotations
