"""One job in act, in host mode: how it is started, and what its log says.

What act lacks is supplied from outside: an environment with nothing of this machine in it, the variables
that it does not set, and a stand-in for every action of somebody else. `uses:` of Keyturn itself is fetched
from the forge.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ACT = Path(sys.executable).with_name("act")
STAND_INS = Path(__file__).parent / "standins"
# A job finds the programs of the system, and the Python that these tests run on as `python3`.
_PROGRAMS = (str(STAND_INS / "bin"), f"{sys.base_prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin")
PATH = os.pathsep.join(dict.fromkeys(_PROGRAMS))
_USES = re.compile(r"^\s*(?:-\s+)?uses:\s*[\"']?([^@\s\"']+)@([^\s\"']+)", re.MULTILINE)
_LEVELS = ("error", "warning", "notice")
_ENDED = re.compile(r"Error: Job '.*' failed")


@dataclass(frozen=True)
class Annotation:
    """A message that GitHub shows on the run's page."""

    level: str
    message: str
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobResult:
    """What became of a job.

    Args:
        id: Its id in the file.
        conclusion: ``success``, ``failure``, ``cancelled`` or ``skipped``.
        outputs: Its ``outputs:``.
        steps: Conclusion of each step, by id or position.
        step_outputs: What each step set, by id; steps inside an action as ``outer.inner``.
        summary: What its steps wrote to the summary.
        annotations: Errors, warnings and notices.
        log: What its steps printed.
        problems: What act itself complained about.
        seconds: How long act ran.
    """

    id: str
    conclusion: str
    outputs: Mapping[str, str] = field(default_factory=dict)
    steps: Mapping[str, str] = field(default_factory=dict)
    step_outputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    summary: str = ""
    annotations: tuple[Annotation, ...] = ()
    log: str = ""
    problems: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Order:
    """All that one run of act needs.

    Args:
        job: The job's id.
        name: Name of the workflow file.
        file: The derived workflow file with just this job.
        event: Name of the event.
        payload: The event.
        actor: Login of who woke it.
        env: What act does not know by itself (``GITHUB_*``) and what the lab adds.
        secrets: Secrets, ``GITHUB_TOKEN`` among them.
        variables: Configuration variables.
        inputs: Of a workflow_dispatch.
    """

    job: str
    name: str
    file: str
    event: str
    payload: Mapping[str, Any]
    actor: str
    env: Mapping[str, str]
    secrets: Mapping[str, str]
    variables: Mapping[str, str]
    inputs: Mapping[str, object]


class Act:
    """Starts act; keeps fetched actions and the runner's tool cache from one job to the next.

    Args:
        root: Directory for all of it.
        tools: Directory that jobs know as ``RUNNER_TOOL_CACHE``; None for one below ``root``.
    """

    def __init__(self, root: Path, tools: Path | None = None) -> None:
        self.root = root
        self.tools = tools or root / "tools"
        self.tools.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._caches: list[Path] = []
        self._idle: list[Path] = []

    def _cache(self) -> Path:
        """Where act keeps fetched actions; two that fetch at once into the same place would break it."""
        if self._idle:
            return self._idle.pop()
        cache = self.root / f"actions-{len(self._caches)}"
        cache.mkdir()
        # act knows no other place for it.
        (cache / "tool_cache").symlink_to(self.tools.resolve())
        self._caches.append(cache)
        return cache

    def run(
        self, order: Order, cancelled: Callable[[], bool] = lambda: False, timeout: float = 300
    ) -> JobResult:
        """Run a job to its end, or until it is cancelled."""
        place = Path(tempfile.mkdtemp(prefix=f"{order.job}-", dir=self.root))
        with self._lock:
            cache = self._cache()
        try:
            return self._run(order, place, cache, cancelled, timeout)
        finally:
            shutil.rmtree(place, ignore_errors=True)
            self._idle.append(cache)

    def _run(
        self, order: Order, place: Path, cache: Path, cancelled: Callable[[], bool], timeout: float
    ) -> JobResult:
        for folder in ("home", "empty"):
            (place / folder).mkdir()
        (place / order.name).write_text(order.file)
        (place / "event.json").write_text(json.dumps(order.payload))
        # act runs in an empty directory: a job has nothing that it did not check out itself.
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(
                [str(ACT), *self._arguments(order, place, cache)],
                cwd=place / "empty",
                env={
                    "PATH": PATH,
                    "HOME": str(place / "home"),
                    "XDG_CACHE_HOME": str(place / "cache"),
                    "LANG": "C.UTF-8",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            began = time.monotonic()
            stopped = _wait(process, cancelled, timeout)
        lines = (place / "log").read_text(errors="replace").splitlines()
        outputs = place / "outputs.json"
        needs = json.loads(outputs.read_text()) if outputs.exists() else {}
        told = needs.get(order.job, {}).get("outputs") or {}
        return read_log(order.job, lines, told, stopped=stopped, seconds=time.monotonic() - began)

    def _arguments(self, order: Order, place: Path, cache: Path) -> Iterable[str]:
        yield from (order.event, "--json", "-W", str(place / order.name), "-e", str(place / "event.json"))
        yield from ("-a", order.actor, "-P", "ubuntu-latest=-self-hosted", "-P", "ubuntu-24.04=-self-hosted")
        yield from ("--no-skip-checkout", "--no-cache-server", "--action-cache-path", str(cache))
        env = {**order.env, "LAB_OUTPUTS_FILE": str(place / "outputs.json")}
        for option, values in (("--env", env), ("-s", order.secrets), ("--var", order.variables)):
            for name, value in values.items():
                yield from (option, f"{name}={value}")
        for name, given in order.inputs.items():
            text = str(given).lower() if isinstance(given, bool) else str(given)
            yield from ("--input", f"{name}={text}")
        for action, ref in set(_USES.findall(order.file)):
            if (STAND_INS / action).is_dir():
                # Whatever commit the workflow pins: the stand-in is what act runs for it.
                yield from ("--local-repository", f"{action}@{ref}={STAND_INS / action}")


def _wait(process: subprocess.Popen[bytes], cancelled: Callable[[], bool], timeout: float) -> str | None:
    """Wait for the end; ``cancelled`` or ``timed out`` if it had to be brought about."""
    until = time.monotonic() + timeout
    while True:
        try:
            process.wait(0.05)
            return None
        except subprocess.TimeoutExpired:
            why = "cancelled" if cancelled() else "timed out" if time.monotonic() > until else None
        if why:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return why


def read_log(
    job: str, lines: Iterable[str], outputs: Mapping[str, str], *, stopped: str | None, seconds: float
) -> JobResult:
    """What the lines of ``act --json`` say about one job."""
    result = None
    steps: dict[str, str] = {}
    step_outputs: dict[str, dict[str, str]] = {}
    summaries: list[tuple[str, str]] = []
    log, problems = [], []
    annotations = []
    for line in lines:
        entry = _entry(line)
        if entry.get("jobID") != job:
            if "jobID" not in entry and entry.get("level") != "warning" and not _ENDED.fullmatch(line):
                problems.append(entry.get("msg", line))
            continue
        step = ".".join(entry.get("stepID", ()))
        command, text = entry.get("command"), entry.get("msg", "")
        # Each leg of a matrix ends by itself; one that failed decides.
        result = result if result == "failure" else entry.get("jobResult", result)
        if entry.get("stage") == "Main" and "stepResult" in entry and "." not in step:
            steps[step] = entry["stepResult"]
        if entry.get("raw_output"):
            log.append(text)
        elif command == "set-output":
            step_outputs.setdefault(step, {})[entry["name"]] = entry["arg"]
        elif command == "summary":
            # act tells what a step inside of an action wrote once more, as the action's own.
            if not any(inner.startswith(f"{step}.") for inner, _ in summaries):
                summaries.append((step, entry["content"]))
        elif command in _LEVELS:
            annotations.append(Annotation(command, entry["arg"], entry.get("kvPairs") or {}))
            log.append(entry.get("raw", ""))
        elif entry.get("level") == "error":
            problems.append(text)
    if stopped:
        problems.append(f"the job was {stopped}")
    conclusion = "cancelled" if stopped == "cancelled" else result if result and not stopped else "failure"
    return JobResult(
        id=job,
        conclusion=conclusion,
        outputs=outputs,
        steps=steps,
        step_outputs=step_outputs,
        summary="".join(content for _, content in summaries),
        annotations=tuple(annotations),
        log="".join(log),
        problems=tuple(problems),
        seconds=seconds,
    )


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
