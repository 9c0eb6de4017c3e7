"""The forms of answers, as JSON Schemas for the OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.observe.entities import ENTITY_STATES
from otel_ext.record.model import SPAN_KINDS
from otel_ext.views.report_columns import STATES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMPONENTS", "TEXT", "named"]

Schema = dict[str, object]

TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NUMBER: Final[Schema] = {"type": "integer"}
INDEX_OR_NONE: Final[Schema] = {"type": "integer", "minimum": -1}
FLAG: Final[Schema] = {"type": "boolean"}
# Nanoseconds since 1970, which a JavaScript number could not hold.
TIME: Final[Schema] = {"type": "string", "pattern": r"^\d{1,20}$"}
TRACE_ID: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
OPTIONAL_TEXT: Final[Schema] = {"type": ["string", "null"]}
OPTIONAL_NUMBER: Final[Schema] = {"type": ["integer", "null"]}
OPTIONAL_TIME: Final[Schema] = {**TIME, "type": ["string", "null"]}
ANYTHING: Final[Schema] = {"type": "object"}


def fields(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """Return the schema of an object.

    Args:
        required: Its fields.
        optional: Fields that may be missing.
    """
    return {
        "type": "object",
        "required": sorted(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    }


def array(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def named(name: str) -> Schema:
    """Return a reference to one of `COMPONENTS`."""
    return {"$ref": f"#/components/schemas/{name}"}


_SPAN_COLUMNS: Final[Mapping[str, Schema]] = {
    **dict.fromkeys(("id", "parent"), TEXT),
    **dict.fromkeys(("name", "state", "kind", "process", "line"), COUNT),
    **dict.fromkeys(("start", "until"), NUMBER),
    "end": OPTIONAL_NUMBER,
    **dict.fromkeys(
        ("error", "file", "function", "where", "cause", "thread", "task"), INDEX_OR_NONE
    ),
}
_ERROR: Final = fields({"message": TEXT, "hint": TEXT}, {"at": NUMBER})
_TRACES: Final = {
    "traces": array(named("Summary")),
    "next": OPTIONAL_TEXT,
    "searched_until_ns": OPTIONAL_TIME,
    "sequence": COUNT,
    "now_ns": TIME,
}
_LINK: Final = {"trace_id": TEXT, "span_id": TEXT}
_DETAILS: Final = {
    "attributes": ANYTHING,
    "events": array(fields({"name": TEXT, "time": NUMBER, "attributes": ANYTHING})),
    "links": array(fields({**_LINK, "attributes": ANYTHING})),
}

COMPONENTS: Final[Mapping[str, Schema]] = {
    "Error": fields({"error": _ERROR}),
    "Summary": fields(
        {
            "trace_id": TRACE_ID,
            "start_ns": TIME,
            "end_ns": OPTIONAL_TIME,
            "duration_ns": COUNT,
            **dict.fromkeys(("name", "service"), TEXT),
            "services": array(TEXT),
            "state": {"enum": list(STATES)},
            **dict.fromkeys(("spans", "open", "errors", "abandoned", "stalled"), COUNT),
            **dict.fromkeys(("missing_root", "repeated"), FLAG),
        },
        {"matches": array(TEXT), "match_count": COUNT},
    ),
    "Traces": fields(_TRACES),
    "Histogram": fields(
        {
            **dict.fromkeys(("from_ns", "to_ns"), TIME),
            "width_ns": COUNT,
            **dict.fromkeys(("traces", "errors"), array(COUNT)),
            "sampled": FLAG,
        }
    ),
    "LiveTrace": fields(
        {
            "format": {"const": "otel-ext-live-trace"},
            "version": {"const": 1},
            "trace_id": TRACE_ID,
            "sequence": COUNT,
            "base_ns": TEXT,
            "now_ns": NUMBER,
            **dict.fromkeys(("zone", "note"), TEXT),
            "strings": array(TEXT),
            "processes": array(
                fields(
                    {
                        **dict.fromkeys(("id", "label", "service"), COUNT),
                        "state": {"enum": ["unknown", "alive", "hung", "lost", "ended"]},
                    }
                )
            ),
            **dict.fromkeys(("total", "left_out"), COUNT),
            "spans": fields({name: array(one) for name, one in _SPAN_COLUMNS.items()}),
            "logs": array(
                {
                    "type": "array",
                    # Span id, time, level, text, attributes, id of the log.
                    "items": {"type": ["string", "integer"]},
                    "minItems": 6,
                    "maxItems": 6,
                }
            ),
        }
    ),
    "SpanDetails": fields(
        {**_DETAILS, "record": ANYTHING, "linked_from": array(fields(_LINK))},
    ),
    "Details": fields(
        {"details": {"type": "object", "additionalProperties": fields(_DETAILS)}},
    ),
    "RunningSpan": fields(
        {
            "trace_id": TRACE_ID,
            **dict.fromkeys(("span_id", "parent_span_id", "name", "service", "process"), TEXT),
            "state": {"enum": list(STATES)},
            "start_ns": TIME,
            "age_ns": COUNT,
            **dict.fromkeys(("where", "opened_at", "thread", "task"), TEXT),
            "root": FLAG,
            "depth": COUNT,
        }
    ),
    "Process": fields(
        {
            **dict.fromkeys(("id", "label", "service", "host", "command"), TEXT),
            "pid": OPTIONAL_NUMBER,
            "condition": {
                "enum": ["alive", "hung", "stopped", "blocked", "dead", "silent", "ended"]
            },
            "last_seen_ns": OPTIONAL_TIME,
            **dict.fromkeys(("open", "stalled", "dropped"), COUNT),
            "source": {"enum": ["folder", "received"]},
        }
    ),
    "Running": fields(
        {
            "now_ns": TIME,
            "sequence": COUNT,
            "spans": array(named("RunningSpan")),
            "total": COUNT,
            "processes": array(named("Process")),
            "agents": array(named("Entity")),
            "agents_total": COUNT,
        }
    ),
    "Entity": fields(
        {
            **dict.fromkeys(("type", "id", "process", "service", "made_at"), TEXT),
            "state": {"enum": list(ENTITY_STATES)},
            "source": {"enum": ["folder", "received"]},
            "recorded_ns": TIME,
            **dict.fromkeys(("age_ns", "span_age_ns"), COUNT),
            **dict.fromkeys(("trace_id", "span_id", "span", "where"), TEXT),
            "attributes": ANYTHING,
        }
    ),
    "Entities": fields({"now_ns": TIME, "entities": array(named("Entity")), "total": COUNT}),
    "About": fields({"type": TEXT, "id": TEXT}, {"deleted": FLAG}),
    "Event": fields(
        {
            **dict.fromkeys(("id", "name", "level", "process", "service"), TEXT),
            "time_ns": TEXT,
            "kind": {"enum": ["event", "log"]},
            **dict.fromkeys(("trace_id", "span_id"), TEXT),
            "entity": {"anyOf": [named("About"), {"type": "null"}]},
            "attributes": ANYTHING,
        }
    ),
    "Events": fields({"events": array(named("Event")), "next": OPTIONAL_TEXT}),
    "Processes": fields({"processes": array(named("Process"))}),
    "Operations": fields(
        {
            **dict.fromkeys(("from_ns", "to_ns"), TIME),
            "operations": array(
                fields(
                    {
                        **dict.fromkeys(("service", "name"), TEXT),
                        "kind": {"enum": list(SPAN_KINDS)},
                        **dict.fromkeys(("count", "errors", "open", "total_ns"), COUNT),
                        **dict.fromkeys(("p50_ns", "p95_ns", "p99_ns", "max_ns"), OPTIONAL_NUMBER),
                        **dict.fromkeys(("slowest", "last"), OPTIONAL_TEXT),
                        "buckets": array({**array(COUNT), "minItems": 2, "maxItems": 2}),
                    }
                )
            ),
        }
    ),
    "Errors": fields(
        {
            "errors": array(
                fields(
                    {
                        **dict.fromkeys(
                            ("type", "text", "service", "name", "place", "span_id"), TEXT
                        ),
                        "count": COUNT,
                        **dict.fromkeys(("first_ns", "last_ns"), TIME),
                        "trace_id": TRACE_ID,
                    }
                )
            )
        }
    ),
    "Log": fields(
        {
            "id": TEXT,
            "time_ns": TIME,
            **dict.fromkeys(("level", "text", "trace_id", "span_id", "service", "process"), TEXT),
            "attributes": ANYTHING,
            "kind": {"enum": ["log", "event"]},
        }
    ),
    "Logs": fields({"logs": array(named("Log")), "next": OPTIONAL_TEXT}),
    "Taken": fields(
        {**dict.fromkeys(("accepted", "rejected"), COUNT), "reasons": TEXT},
    ),
    "Completion": fields({"words": array(fields({"text": TEXT, "count": COUNT}))}),
    "Info": fields(
        {
            **dict.fromkeys(("version", "folder"), TEXT),
            "listening": fields(dict.fromkeys(("otlp_http", "otlp_grpc", "ui"), OPTIONAL_TEXT)),
            "editor": {"type": ["object", "null"]},
            **dict.fromkeys(("traces", "spans"), COUNT),
            "since_ns": OPTIONAL_TIME,
        }
    ),
    # As `otel-ext analyze --json` and `otel-ext diff --json` print them; docs/schemas.
    "Analysis": ANYTHING,
    "Comparison": ANYTHING,
}
"""The schemas of answers by name."""
