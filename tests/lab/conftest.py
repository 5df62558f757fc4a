"""What the lab's tests share: a lab of their own each, and one tool cache for all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.lab import Lab
from lab.tools import tool_cache


@pytest.fixture(scope="session")
def tools() -> Path:
    """A tool cache with the environment that our actions run in, for ``Lab(..., tools=tools)``."""
    return tool_cache("publish")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab with nothing in it."""
    with Lab(tmp_path / "lab") as made:
        yield made
