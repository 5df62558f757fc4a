"""Hypothesis profiles (HYPOTHESIS_PROFILE chooses; `ci` where CI is set, else `local`); what is measured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

# No deadline anywhere: two busy cores make honest tests slow now and then.
settings.register_profile("local", max_examples=50, deadline=None)
# The same examples on each run: what continuous integration finds can be found again.
settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("thorough", max_examples=2000, deadline=None)

# A mutant that a few examples do not find is no find of this test; nobody reads what was shrunk.
settings.register_profile(
    "mutation",
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "local"))

MEASURED = ("unit", "conformance")
"""Directories of the tests whose coverage counts; the others would take much longer, and add nothing."""
PROCESSES = "COVERAGE_PROCESS_CONFIG"
"""The variable by which coverage measures the Python processes that a test starts."""


def _measured(item: pytest.Item) -> bool:
    return item.path.relative_to(Path(__file__).parent).parts[0] in MEASURED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stories with real processes are told without coverage."""
    for item in items:
        if not _measured(item):
            item.add_marker("no_cover")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Keep coverage out of the processes of a test that is not measured, those of its fixtures included."""
    kept = None if _measured(item) else os.environ.pop(PROCESSES, None)
    try:
        return (yield)
    finally:
        if kept is not None:
            os.environ[PROCESSES] = kept
