"""``config.toml`` in a signer's own directory: their keys' URIs and modules (SPEC: Signer's own directory).

```toml
keys = ["file:~/keys/alice.pem"]                          # tried in this order when --key is not given
modules = ["/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so"]  # PKCS #11 modules that may be loaded
```
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from keyturn.errors import EnvironmentFault, UsageError


@dataclass(frozen=True, slots=True)
class Config:
    """A signer's settings.

    Args:
        keys: URIs of their private keys, in the order in which they are tried.
        modules: Paths of PKCS #11 modules that may be loaded.
    """

    keys: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


def parse_config(data: bytes, *, where: str) -> Config:
    """Read ``config.toml``.

    Args:
        data: The bytes of the file.
        where: The name of the file, for messages.

    Raises:
        UsageError: Not TOML, a setting that is not known, or a value of another type (reason ``config``).
        EnvironmentFault: Python 3.10 without the ``tomli`` package.
    """
    toml = _toml()
    try:
        document: dict[str, Any] = toml.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _bad(f"is not TOML: {error}", where) from error
    unknown = sorted(set(document) - {"keys", "modules"})
    if unknown:
        raise _bad(f"there is no setting {unknown[0]!r}", where)
    return Config(keys=_strings(document, "keys", where), modules=_strings(document, "modules", where))


def _toml() -> ModuleType:
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EnvironmentFault(
            f"the Python package {name} is missing", todo="Install the extra: pip install 'keyturn[repo]'"
        ) from error


def _strings(document: dict[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = document.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise _bad(f"{name!r} is not a list of strings", where)
    return tuple(value)


def _bad(what: str, where: str) -> UsageError:
    return UsageError(
        what, where=where, todo='It may say: keys = ["file:PATH"] and modules = ["PATH"].', reason="config"
    )
