"""Carriers of the context: what they carry, across processes, and from untrusted sources."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.context import attach, detach, get_current
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from structlog.contextvars import clear_contextvars

from otel_ext.context import carrier as carriers
from otel_ext.context import (
    context_environment,
    error_context,
    propagate_context,
    with_context,
    with_propagated_context,
    with_span,
)
from tests.examples import examples
from tests.global_provider import recording_globally
from tests.programs import environment, execute, python, spans_in, succeed, write_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE_ID, SPAN_ID = TRACEPARENT.split("-")[1:3]
ERROR_CONTEXT = "otel_ext_error_context"
COPIES: list[Callable[[dict[str, str]], dict[str, str]]] = [
    lambda carrier: pickle.loads(pickle.dumps(carrier)),  # noqa: S301 - made here
    lambda carrier: json.loads(json.dumps(carrier)),
]


class Hostile(Mapping[str, str]):
    """A mapping whose methods all raise."""

    def __getitem__(self, key: str) -> str:
        raise RuntimeError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError

    def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401 - as its base
        """Raise."""
        raise RuntimeError(key, default)


@pytest.fixture(autouse=True)
def _no_context(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start and end without fields, and fail a test that leaves another context."""
    monkeypatch.setattr(carriers, "_names", {})
    clear_contextvars()
    before = get_current()
    yield
    assert get_current() is before
    assert error_context.get() == {}
    clear_contextvars()


def restored(carrier: object) -> dict[str, object]:
    """Return what a carrier restores: the trace, the baggage and the error context."""
    with with_propagated_context(carrier):  # type: ignore[arg-type]
        context = get_current_span().get_span_context()
        return {
            "trace": f"{context.trace_id:032x}-{context.span_id:016x}",
            "sampled": context.trace_flags.sampled,
            "remote": context.is_remote,
            "state": dict(context.trace_state.items()),
            "baggage": dict(baggage.get_all()),
            "fields": error_context.get(),
        }


def restored_fields(carrier: object) -> dict[str, object]:
    """Return the error context that a carrier restores."""
    fields = restored(carrier)["fields"]
    assert isinstance(fields, dict)
    return cast("dict[str, object]", fields)


def fields_of(text: str) -> dict[str, object]:
    """Return the error context that a carrier with this text restores."""
    return restored_fields({ERROR_CONTEXT: text})


def test_nothing_to_carry_is_an_empty_carrier() -> None:
    """Without a span, baggage and fields the carrier is empty, and restores nothing."""
    assert propagate_context() == {}
    with with_context(order=7):
        assert restored({})["trace"] == f"{0:032x}-{0:016x}"


@pytest.mark.parametrize("copy", COPIES, ids=["pickle", "json"])
def test_round_trip(copy: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Span context, trace state, baggage and error context survive pickle and JSON."""
    state = TraceState([("vendor", "a:1"), ("other", "b")])
    span = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1), trace_state=state)
    context = set_span_in_context(NonRecordingSpan(span))
    token = attach(baggage.set_baggage("tenant", "blå, = ;", context))
    with with_context(order=7, paid=True, ratio=0.5, item="lampa å", tags=["a", "b"]):
        carrier = propagate_context()
    detach(token)
    assert all(type(part) is str for item in carrier.items() for part in item)
    assert restored(copy(carrier)) == {
        "trace": f"{0xABC:032x}-{0xDEF:016x}",
        "sampled": True,
        "remote": True,
        "state": {"vendor": "a:1", "other": "b"},
        "baggage": {"tenant": "blå, = ;"},
        "fields": {
            "order": 7,
            "paid": True,
            "ratio": 0.5,
            "item": "lampa å",
            "tags": ["a", "b"],
        },
    }


def test_a_span_in_the_block_is_a_child_of_the_carried_one() -> None:
    """A span within the block has the carried span as its parent."""
    with recording_globally() as records:
        with with_propagated_context({"traceparent": TRACEPARENT}), with_span("work"):
            pass
        start, end = records.of("work")
    assert {(start.trace_id, start.parent_span_id), (end.trace_id, end.parent_span_id)} == {
        (TRACE_ID, SPAN_ID)
    }


def test_an_unsampled_span_stays_unsampled() -> None:
    """A carrier without the sampled flag restores a span that is not sampled."""
    found = restored({"traceparent": f"{TRACEPARENT[:-2]}00"})
    assert (found["trace"], found["sampled"]) == (f"{TRACE_ID}-{SPAN_ID}", False)


def test_upper_case_keys_are_those_of_an_environment() -> None:
    """Upper-case keys, as in an environment, are read like those in lower case."""
    carrier = {"TRACEPARENT": TRACEPARENT, "BAGGAGE": "a=1", "OTEL_EXT_ERROR_CONTEXT": '{"n":1}'}
    found = restored({**carrier, "PATH": "/bin"})
    assert found["trace"] == f"{TRACE_ID}-{SPAN_ID}"
    assert (found["baggage"], found["fields"]) == ({"a": "1"}, {"n": 1})


def test_a_carrier_replaces_the_span_and_the_baggage() -> None:
    """Within the block neither span nor baggage of the code around it are current."""
    outer = set_span_in_context(NonRecordingSpan(SpanContext(1, 2, is_remote=False)))
    token = attach(baggage.set_baggage("a", "outer", outer))
    found = restored({"traceparent": TRACEPARENT})
    detach(token)
    assert (found["trace"], found["baggage"]) == (f"{TRACE_ID}-{SPAN_ID}", {})


def test_blocks_of_one_carrier_nest() -> None:
    """One object can be entered again within itself; each block restores what was before."""
    block = with_propagated_context({"traceparent": TRACEPARENT, ERROR_CONTEXT: '{"n":1}'})
    with block:
        with with_context(n=2), block:
            assert error_context.get() == {"n": 1}
        assert error_context.get() == {"n": 1}
        assert get_current_span().get_span_context().span_id == int(SPAN_ID, 16)


def test_an_exception_passes_through_with_the_carried_fields() -> None:
    """The exception that leaves the block is the same object, with a note of the fields."""
    error = ValueError("declined")
    block = with_propagated_context({ERROR_CONTEXT: '{"order":7}'})
    with pytest.raises(ValueError, match="declined") as caught, block:
        raise error
    assert caught.value is error
    assert getattr(error, "__notes__", None) == ["error context: order=7"]


@pytest.mark.parametrize(
    ("value", "restored_as"),
    [
        (2**70, str(2**70)),
        ("half \ud800", r"'half \ud800'"),
        (b"raw", "b'raw'"),
        ({"a": 1}, "{'a': 1}"),
        ("line\nbreak\x00", "line\nbreak\x00"),
    ],
    ids=["integer", "surrogate", "bytes", "dict", "control"],
)
def test_values_that_json_lacks_are_carried_as_text(value: object, restored_as: str) -> None:
    """A value that JSON cannot have is carried as text, and no other field is lost."""
    with with_context(value=value, order=7):
        carrier = propagate_context()
    fields = restored_fields(carrier)
    assert fields["value"] == restored_as
    assert str(fields["order"]) == "7"


def test_a_part_that_is_too_long_is_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    """An error context that is too long is not carried and is reported; the rest is carried."""
    token = attach(baggage.set_baggage("tenant", "a"))
    with with_context(text="x" * 9_000):
        carrier = propagate_context()
    detach(token)
    assert carrier == {"baggage": "tenant=a"}
    assert f"{ERROR_CONTEXT} is not carried: it is too long" in capfd.readouterr().err


def test_a_value_whose_class_cannot_be_read_is_carried_as_text() -> None:
    """Its own class raises; so nothing asks for it."""

    class Hidden:
        @property  # type: ignore[misc]
        def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
            raise RuntimeError("hidden")

    with with_context(value=Hidden()):
        assert "Hidden object at" in json.loads(propagate_context()[ERROR_CONTEXT])["value"]


@pytest.mark.parametrize(
    "carrier",
    [None, 7, "text", b"bytes", [("traceparent", TRACEPARENT)], Hostile(), object()],
    ids=["None", "int", "str", "bytes", "list", "raising", "object"],
)
def test_what_is_not_a_mapping_is_reported(
    carrier: object, capfd: pytest.CaptureFixture[str]
) -> None:
    """A carrier that is not a mapping, or raises, is ignored and reported; the block runs."""
    with with_context(order=7):
        assert restored(carrier)["fields"] == {"order": 7}
    assert "with_propagated_context: a carrier is ignored" in capfd.readouterr().err


@pytest.mark.parametrize("value", [7, None, b"00-ab", ["a"], {"a": 1}, "x" * 10_000])
def test_values_of_another_type_or_size_are_ignored(value: object) -> None:
    """An entry that is not a text, or is too long, restores nothing."""
    found = restored(dict.fromkeys(("traceparent", "tracestate", "baggage", ERROR_CONTEXT), value))
    assert (found["trace"], found["baggage"], found["fields"]) == (f"{0:032x}-{0:016x}", {}, {})


def test_a_byte_that_is_not_unicode_costs_no_more_than_its_entry() -> None:
    """The environment may have any bytes, which Python gives as halves of surrogate pairs."""
    carrier = {"TRACEPARENT": TRACEPARENT, "BAGGAGE": "customer=ann,city=K\udcf6ln"}
    found = restored(carrier)
    assert (found["trace"], found["baggage"]) == (TRACEPARENT[3:-3], {})


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "null", "[1]", '"a"', "7", '{"a":', '{"a":\ud800}', "\ud800"),
        *("[" * 8_000, '{"a":' * 1_300 + "1" + "}" * 1_300),
        *('{"":1}', '{"a b":1}', '{"self":1}', '{"1a":1}', '{"_record":1}', '{"exc_info":true}'),
        *('{"stack_info":true}', '{"name":"a"}', '{"stacklevel":"a"}', '{"positional_args":[1]}'),
    ],
    ids=range(21),
)
def test_an_error_context_that_is_not_valid_is_ignored(text: str) -> None:
    """Broken and deep JSON, JSON that is not an object, and names that are not valid."""
    assert fields_of(text) == {}


def test_deep_values_become_short_texts() -> None:
    """A value of many levels restores as a short text."""
    (value,) = fields_of('{"a":' + '{"b":' * 500 + "1" + "}" * 501).values()
    assert isinstance(value, str)
    assert len(value) < 200


def test_a_name_that_a_log_may_not_have_is_reported_where_it_is_set(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """`logging` refuses `message`, for one; the other fields are carried."""
    with with_context(message="hello", order=7):
        assert json.loads(propagate_context()[ERROR_CONTEXT]) == {"order": 7}
    assert "the field 'message' is not carried: rename it" in capfd.readouterr().err


def test_the_number_of_fields_is_bounded() -> None:
    """An error context has at most 64 fields."""
    fields = fields_of(json.dumps({f"many_{number}": number for number in range(400)}))
    assert fields == {f"many_{number}": number for number in range(64)}


def test_the_number_of_names_in_a_process_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Carriers add no further names to a process that has had many; known ones are restored."""
    monkeypatch.setattr(carriers, "_names", dict.fromkeys(map(str, range(999))))
    assert fields_of('{"first":1,"second":2}') == {"first": 1}
    assert fields_of('{"third":3,"first":4}') == {"first": 4}


texts = st.one_of(
    st.text(max_size=200),
    st.from_regex(r"\A[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?\Z"),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=9)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=9), inner, max_size=4)
        ),
        max_leaves=20,
    ).map(json.dumps),
    st.integers(1, 20_000).map("a=b,".__mul__),
    st.dictionaries(st.sampled_from(["a", "set", "self", "event"]), st.integers()).map(json.dumps),
)
anything = st.one_of(texts, st.none(), st.integers(), st.binary(), st.lists(st.text()))
keys = st.sampled_from([*carriers._KEYS, *map(str.upper, carriers._KEYS), "other"])  # noqa: SLF001


@examples(5)
@given(carrier=st.dictionaries(keys, anything))
def test_no_carrier_raises(carrier: dict[str, object]) -> None:
    """Any carrier can be entered; what it restores is bounded, valid and carried on."""
    with with_propagated_context(carrier):  # type: ignore[arg-type]
        again = propagate_context()
        fields = error_context.get()
    assert len(fields) <= 64
    assert set(again) <= set(carriers._KEYS)  # noqa: SLF001
    assert all(len(value) <= 8_192 for value in again.values())
    assert error_context.get() == {}


def test_an_environment_loses_the_variables_of_another_span() -> None:
    """Variables of an earlier context do not stay, and others are not touched."""
    old = {"PATH": "/bin", "TRACEPARENT": "old", "BAGGAGE": "old=1", "TRACESTATE": "old=1"}
    assert context_environment(old) == {"PATH": "/bin"}
    with with_propagated_context({"traceparent": TRACEPARENT}):
        assert context_environment(old) == {"PATH": "/bin", "TRACEPARENT": TRACEPARENT}
    assert old["TRACEPARENT"] == "old"


CHILD = """\
import os
import otel_ext

otel_ext.configure(output="traces", console="off")
with otel_ext.with_propagated_context(os.environ):
    with otel_ext.with_span("child", **otel_ext.context.error_context.get()):
        pass
"""


def test_a_subprocess_continues_the_trace_of_its_environment(tmp_path: Path) -> None:
    """A child's span joins the trace from its environment, and nothing is reported there."""
    program = write_program(tmp_path, CHILD)
    token = attach(baggage.set_baggage("tenant", "å"))
    carrier = {"traceparent": TRACEPARENT}
    with with_propagated_context(carrier), with_context(order=7, item="å"):
        variables = context_environment({})
    detach(token)
    assert set(variables) == {"TRACEPARENT", "OTEL_EXT_ERROR_CONTEXT"}
    done = succeed(python(program), tmp_path, **variables)
    assert done.output == ""
    for record in spans_in(tmp_path / "traces", "child"):
        assert (record.trace_id, record.parent_span_id) == (TRACE_ID, SPAN_ID)
        assert record.attributes == {"order": 7, "item": "å"}


def test_a_program_whose_environment_takes_only_ascii_starts_children(tmp_path: Path) -> None:
    """Where the system encodes the environment as ASCII, other characters do no harm."""
    program = write_program(
        tmp_path,
        "import subprocess, sys\n"
        "from otel_ext.context import context_environment, with_context\n"
        "print(sys.getfilesystemencoding())\n"
        "with with_context(item=chr(229)):\n"
        "    subprocess.run([sys.executable, '-c', ''], env=context_environment(), check=True)\n",
    )
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = execute(python(program), cwd=tmp_path, env=environment(**plain))
    assert (done.code, done.err) == (0, "")
    assert "ascii" in done.out or "utf" in done.out
