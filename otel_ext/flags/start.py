"""`use_flags`: makes OpenFeature's client take its flags from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openfeature import api
from openfeature.exception import ProviderNotReadyError

from otel_ext.flags.provider import FileProvider
from otel_ext.flags.targeting import BAGGAGE_KEY
from otel_ext.runtime.guard import report_problem

if TYPE_CHECKING:
    import os
    from collections.abc import Collection

    from openfeature.client import OpenFeatureClient

__all__ = ["use_flags"]


def use_flags(
    path: str | os.PathLike[str],
    *,
    domain: str | None = None,
    baggage_key: str = BAGGAGE_KEY,
    enforced: Collection[str] = (),
) -> OpenFeatureClient:
    """Make OpenFeature take its flags from a flag file, and return a client.

    A file that is missing or broken does not stop the program: it is reported, callers get
    their defaults, and the file is used once it is good.

    Args:
        path: The flag file, in flagd's format.
        domain: The domain of OpenFeature that gets these flags; by default all without others.
        baggage_key: The entry of the baggage with the targeting key.
        enforced: Boolean flags that are on until the file has them at a lower stage or DISABLED.

    Raises:
        ConfigError: An argument is wrong.

    >>> client = use_flags("missing.json", domain="doctest", enforced=["new-search"])
    >>> client.get_boolean_value("new-search", False)
    True
    """
    provider = FileProvider(path, baggage_key=baggage_key, enforced=enforced)
    try:
        api.set_provider_and_wait(provider, domain)
    except ProviderNotReadyError:
        pass  # the file comes later; the provider has reported it
    except Exception as error:  # noqa: BLE001 - of the provider before, or of the SDK
        report_problem("feature flags are not in use", error)
    return api.get_client(domain)
