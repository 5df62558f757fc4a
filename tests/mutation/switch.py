"""What the mutated code calls: one function in many versions, of which one is on.

The mutated package has each function as it is and once for each mutant. Which one runs is decided at each
call, so that one import serves every mutant.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

Versions = dict[str, Callable[..., Any]]
Function = TypeVar("Function", bound=Callable[..., Any])
ORIGINAL = "_mutmut_orig"


class Switch:
    """Which mutant is on, and which functions were called.

    Attributes:
        module: Module of the mutant that is on; empty if none is.
        mutant: Its name within the module.
        called: Functions that were called, as ``module:name``; collected only if not None.
    """

    def __init__(self) -> None:
        self.module = ""
        self.mutant = ""
        self.called: set[str] | None = None


switch = Switch()


def mutated(versions: Versions, is_classmethod: bool = False) -> Callable[[Function], Function]:
    """Let a function be the version of it that is on.

    Args:
        versions: The original and every mutant, by name; filled after the function is defined.
        is_classmethod: Whether the versions are bound to their class already.
    """

    def decorate(function: Function) -> Function:
        module = function.__module__

        @wraps(function)
        def call(*args: object, **kwargs: object) -> object:
            version = versions[ORIGINAL]
            if switch.called is not None:
                switch.called.add(f"{module}:{version.__name__.removesuffix('__mutmut_orig')}")
            if switch.module == module:
                version = versions.get(switch.mutant, version)
            return version(*args[1:], **kwargs) if is_classmethod else version(*args, **kwargs)

        return cast("Function", call)

    return decorate
