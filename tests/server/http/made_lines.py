"""Makes bodies of lines of records, right ones and wrong ones, for requests made by schemathesis.

It is named to schemathesis by the variable `SCHEMATHESIS_HOOKS`.
"""

from __future__ import annotations

import json

import schemathesis
from hypothesis import strategies as st

from otel_ext.server.api.routes import LINE_TYPES
from tests.store.records import log_line, span_line

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def _changed_line(draw: st.DrawFn) -> bytes:
    """Return a record of which one field is another value, or is missing."""
    seq = draw(st.integers(0, 2**63))
    made = draw(
        st.sampled_from(
            [
                span_line("start", 1, seq=seq),
                span_line("end", 1, seq=seq, error="X: y"),
                log_line("hi", trace=1, span=1, seq=seq),
            ]
        )
    )
    document = json.loads(made)
    fields = document["__tracer_meta__"]
    name = draw(st.sampled_from([*fields, "__tracer_meta__", "other"]))
    changed = document if name == "__tracer_meta__" else fields
    if draw(st.booleans()):
        changed[name] = draw(_JSON)
    else:
        changed.pop(name, None)
    return json.dumps(document).encode("utf-8", "surrogatepass")


_LINE = _changed_line() | _JSON.map(lambda value: json.dumps(value).encode()) | st.binary()
_BODY = st.lists(_LINE, max_size=8).map(b"\n".join)

schemathesis.openapi.media_type(LINE_TYPES[0], _BODY, aliases=LINE_TYPES[1:])
