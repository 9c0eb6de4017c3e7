"""Keeps passwords and keys of the receiver out of messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["hide_secrets", "public_url"]

# Scheme, user and password, host and path, query.
_URL: Final = re.compile(r"([^:/?#]+://)?(?:([^/?#]*)@)?([^?#]*)(?:[?#](.*))?", re.DOTALL)
_HIDDEN: Final = "***"
# Hiding a shorter value, such as `1`, would only make the message unreadable.
_MIN_LENGTH: Final = 4


def public_url(url: str) -> str:
    """Return an address without user, password and query.

    >>> public_url("https://me:secret@host:4318/v1/traces?key=secret")
    'https://host:4318/v1/traces'
    """
    match = _URL.fullmatch(url)
    return f"{match[1] or ''}{match[3]}" if match else _HIDDEN


def hide_secrets(message: str, url: str, headers: Iterable[str]) -> str:
    """Return a message without the secrets of an address and the values of headers.

    Args:
        message: The message, for example of an exception.
        url: The address of the receiver.
        headers: The values of the headers.

    >>> hide_secrets("no route to http://me:secret@host", "http://me:secret@host", [])
    'no route to http://host'
    """
    message = message.replace(url, public_url(url))
    secrets = {form for one in _secrets(url, headers) for form in (one, repr(one)[1:-1])}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _MIN_LENGTH:
            message = message.replace(secret, _HIDDEN)
    return message


def _secrets(url: str, headers: Iterable[str]) -> Iterable[str]:
    match = _URL.fullmatch(url)
    user, query = (match[2] or "", match[4] or "") if match else ("", "")
    password = user.partition(":")[2]
    yield from (user, unquote(user), password, unquote(password), query)
    yield from (value for _, value in parse_qsl(query))
    for value in headers:
        # With and without a scheme before it, such as `Bearer`.
        yield from (value, value.strip(), value.strip().partition(" ")[2])
