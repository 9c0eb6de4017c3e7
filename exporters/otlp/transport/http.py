"""Sends requests over OTLP/HTTP, and decides by the answer what is sent again."""

from __future__ import annotations

import gzip
import math
import zlib
from datetime import timezone
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import TYPE_CHECKING, Final

import requests
from urllib3.exceptions import NewConnectionError

from otel_ext.errors import ConfigError
from otel_ext.exporters.otlp.transport.answers import Answer, accepted
from otel_ext.exporters.otlp.transport.secrets import public_url
from otel_ext.protocols import SendResult
from otel_ext.runtime.counters import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_ext.exporters.otlp.variables import SignalVariables
    from otel_ext.protocols import Refusal, Request

__all__ = ["HttpTransport"]

_COMPRESS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}
_OK: Final = range(200, 300)
# An answer that is longer is not read to its end; those of OTLP have one message.
_MOST_BYTES: Final = 65_536
# The retryable codes of OTLP (OTLP/HTTP, "Retryable response codes").
_RETRYABLE: Final = frozenset({429, 502, 503, 504})
# Statuses for bad data (OTLP/HTTP, "Bad data"; RFC 9110, 15.5), and for a path or
# method that the receiver does not serve.
_REFUSALS: Final[dict[int, Refusal]] = {
    400: "data",
    413: "data",
    422: "data",
    404: "signal",
    405: "signal",
    501: "signal",
}


class HttpTransport:
    """Posts the requests of one signal.

    Args:
        variables: Where and how, from the environment.

    Attributes:
        header_values: The values of the user's headers, which are secret.

    Raises:
        ConfigError: The credential provider cannot be used.
    """

    def __init__(self, variables: SignalVariables) -> None:
        self._url = variables.endpoint
        self._timeout = variables.timeout
        headers = variables.headers
        self.header_values = tuple(headers.values())
        self._headers = {
            "content-type": "application/x-protobuf",
            "user-agent": variables.user_agent,
            **headers,
        }
        compression = variables.compression
        self._compress = _COMPRESS.get(compression)
        if self._compress is not None:
            self._headers.setdefault("content-encoding", compression)
        self._session = _session(variables)

    def send(self, request: Request) -> Answer:
        """Send a request and wait for the answer."""
        body = request.body if self._compress is None else self._compress(request.body)
        try:
            answer, content = self._post(body, request.records)
        except Exception as error:  # noqa: BLE001 - the session may be the user's
            message = f"{type(error).__name__}: {error}"
            if isinstance(error, requests.exceptions.InvalidHeader):  # it has the value
                message = "a header of OTEL_EXPORTER_OTLP_HEADERS cannot be used"
            # A ValueError: the address or a header cannot be used.
            retry = not isinstance(error, ValueError)
            result = SendResult(ok=False, retry=retry, message=message)
            return Answer(result, type(error).__qualname__)
        if answer.status_code in _OK:
            return Answer(accepted(request, content))
        result = SendResult(
            ok=False,
            retry=answer.status_code in _RETRYABLE,
            retry_after=_retry_after(answer.headers),
            message=f"{public_url(self._url)} answered {answer.status_code} {answer.reason}",
            refusal=_REFUSALS.get(answer.status_code, ""),
        )
        status = {"http.response.status_code": answer.status_code}
        return Answer(result, str(answer.status_code), status)

    def close(self) -> None:
        """Close the connections; a request in flight ends with its timeout at the latest."""
        self._session.close()

    def _post(self, body: bytes, records: int) -> tuple[requests.Response, bytes]:
        """Post a body; once more, at once, where the connection broke.

        The receiver may have closed a connection that was kept open. It may also have
        accepted the records, so they are counted.

        Returns:
            The answer, and its content.
        """
        until = monotonic() + self._timeout
        try:
            return self._post_once(body, self._timeout)
        except requests.ConnectionError as error:
            seconds_left = until - monotonic()
            if _never_arrived(error) or seconds_left <= 0:
                raise
        COUNTERS.add("remote.maybe_twice", records)
        return self._post_once(body, seconds_left)

    def _post_once(self, body: bytes, timeout: float) -> tuple[requests.Response, bytes]:
        answer = self._session.post(
            self._url,
            data=body,
            headers=self._headers,
            timeout=timeout,
            allow_redirects=False,
            stream=True,
        )
        return answer, _content_of(answer)


class _Session(requests.Session):
    """A session that does not read the answers that redirect, since they are not followed."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _content_of(answer: requests.Response) -> bytes:
    """Return the content of an answer, or the beginning of a long one."""
    if answer.raw is None:  # made by an adapter of the user's session
        return answer.content
    content = bytearray()
    with answer:
        for chunk in answer.iter_content(_MOST_BYTES):
            content += chunk
            if len(content) > _MOST_BYTES:
                break
    return bytes(content)


def _session(variables: SignalVariables) -> requests.Session:
    provider = variables.credential_provider()
    session: object = _Session() if provider is None else provider.load()()
    if not isinstance(session, requests.Session):
        message = f"credential provider {provider}: it returns a {type(session).__name__}"
        raise ConfigError(message, hint="Over HTTP it must return a requests.Session.")
    session.verify = variables.get("CERTIFICATE") or True
    certificate, key = variables.get("CLIENT_CERTIFICATE"), variables.get("CLIENT_KEY")
    if certificate:
        session.cert = (certificate, key) if key else certificate
    return session


def _never_arrived(error: requests.ConnectionError) -> bool:
    """Whether no part of the request was sent."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(cause, NewConnectionError)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds of the header `Retry-After`; 0 without a valid one."""
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value or 0)
    except ValueError:
        seconds = _seconds_until(value)
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0


def _seconds_until(date: str) -> float:
    try:
        found = parsedate_to_datetime(date)
        if found.tzinfo is None:
            found = found.replace(tzinfo=timezone.utc)
        return found.timestamp() - time()
    except (TypeError, ValueError, OverflowError):
        return 0.0
