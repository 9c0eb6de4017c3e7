"""Reads what the records of one scope share: resource, scope, and the id of their process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from otel_ext.exporters.otlp.encoding.spans import PROCESS_KEY
from otel_ext.record.model import Scope
from otel_ext.server.ingest.cut import cut_scope
from otel_ext.server.ingest.otlp.counting import RESOURCE, SCOPE
from otel_ext.server.ingest.otlp.values import ValueBudget, attributes_of, without_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_ext.server.ingest.limits import IngestLimits
    from otel_ext.server.ingest.otlp.counting import FieldCheck
    from otel_ext.server.ingest.otlp.wire import Group
    from otel_ext.server.ingest.result import Outcome

__all__ = ["Origin", "Origins"]


class Origin(NamedTuple):
    """What the records of one scope share.

    Attributes:
        resource: The resource's attributes, as OTLP/JSON has them.
        scope: The scope; None without a name.
        process_id: The id of their process, if otel-ext sent them; of any type.
    """

    resource: Mapping[str, object]
    scope: Scope | None
    process_id: object


class Origins:
    """Reads the origins of one request's records; those that are damaged are empty.

    Args:
        limits: How much the request may contain.
        check: Checks what is large.
        outcome: Gets a note of what is damaged.
    """

    def __init__(self, limits: IngestLimits, check: FieldCheck, outcome: Outcome) -> None:
        self._budget = ValueBudget(limits.shared_values)
        self._check = check
        self._outcome = outcome
        self._resources: dict[bytes, dict[str, object]] = {}

    def of(self, group: Group) -> Origin:
        """Return the origin of a group.

        Raises:
            RecordError: It is too large, or the request has too many values.
        """
        scope, process_id = self._scope(group.scope)
        resource = self._resources.get(group.resource)
        if resource is None:
            resource = self._resources[group.resource] = self._resource(group.resource)
        return Origin(resource, scope, process_id)

    def _resource(self, data: bytes) -> dict[str, object]:
        self._check.check(data, RESOURCE)
        try:
            resource = Resource.FromString(data)
        except DecodeError:
            self._outcome.note("a resource is not valid protobuf")
            return {}
        found = attributes_of(resource.attributes, self._budget)
        return cast("dict[str, object]", without_bytes(found))

    def _scope(self, data: bytes) -> tuple[Scope | None, object]:
        self._check.check(data, SCOPE)
        try:
            scope = InstrumentationScope.FromString(data)
        except DecodeError:
            self._outcome.note("a scope is not valid protobuf")
            return None, None
        attributes = attributes_of(scope.attributes, self._budget) if scope.attributes else {}
        made = cut_scope(Scope(scope.name, scope.version)) if scope.name else None
        return made, attributes.get(PROCESS_KEY)
