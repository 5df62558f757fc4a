"""The way to the lab, an emulation of GitHub that comes with the source and is no part of the package.

The lab's own demo (``tests/lab/demo``) builds on this package; from here nothing but its name is known.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from keyturn.demo.frame import DemoOptions, Played
from keyturn.demo.page import Out

VARIABLE = "KEYTURN_LAB"
"""Names the lab's directory, where it is not beside the package."""
STORY = "demo"
BESIDE = Path(__file__).parents[3] / "tests" / "lab"
"""Where it is in a checkout that the package is installed from as editable."""


class Run(Protocol):
    """What the lab's demo offers; see :func:`keyturn.demo.story.run`."""

    def __call__(self, options: DemoOptions, out: Out) -> Played:
        """Play all of it."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no lab.

    Args:
        why: A sentence for the person.
    """

    why: str


def find(environment: Mapping[str, str], beside: Path = BESIDE) -> Run | Missing:
    """The lab's demo, if the lab and all that it needs are here.

    Args:
        environment: The environment.
        beside: Where to look, unless the environment names a directory.
    """
    directory = Path(environment.get(VARIABLE) or beside).absolute()
    if not (directory / STORY / "__init__.py").is_file():
        return Missing("the demo on an emulated GitHub comes with the source (make demo in a checkout)")
    if str(directory.parent) not in sys.path:
        sys.path.insert(0, str(directory.parent))
    try:
        story = importlib.import_module(f"{directory.name}.{STORY}")
    except ImportError as error:
        return Missing(f"the demo on an emulated GitHub needs what make demo sets up: {error}")
    if lacking := story.lacking():
        return Missing(f"the demo on an emulated GitHub needs what make demo sets up: {lacking}")
    return cast("Run", story.run)
