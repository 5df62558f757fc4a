"""The fixture of all scenarios: a repository, a server, and a client that has been given the first root."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
import time_machine

from conformance.world import NOW, Here, Repository, run_executable, run_inside, serve


@pytest.fixture
def here(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    """In this process at noon on the day when the repository was made; as the executable, really now."""
    monkeypatch.setenv("no_proxy", "*")
    outside = getattr(request, "param", "inside") == "executable"
    now = datetime.now(timezone.utc).replace(microsecond=0) if outside else NOW
    repository = Repository(now)
    for directory in ("metadata", "targets"):
        (tmp_path / directory).mkdir()
    with serve(repository.files) as site:
        made = Here(repository, site, tmp_path, run_inside, None)
        # Always in this process: a process takes its time, and one test is about init.
        assert made.init().done
        if outside:
            made.run = run_executable
            yield made
            return
        with time_machine.travel(NOW, tick=False) as made.clock:
            yield made
