"""What the actions cost in the lab: wall time of their scripts as processes, and what they ask a code host.

Setting up is apart: the situations (lab/situations.py) are brought about before, and the environment that the
scripts run in is made by the bootstrap, which is timed by itself.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from types import ModuleType

from lab.actions.act import PATH
from lab.clock import Clock
from lab.forge import LabForge
from lab.jobs import Place, Ran
from lab.ourselves import ROOT
from lab.pages import Pages
from lab.situations import JOBS, Situations, policy
from lab.tools import tool_cache

ROUNDS = 3
WARM_ROUNDS = 5
# The attestation is believed: verifying one takes 0.1 s, and needs a Sigstore.
BELIEVING = """\
import runpy, sys
from keyturn.flow import watching
from keyturn.release import attestation
believed = lambda bundles, sha256, build, _: attestation.Attested(build, sha256, "c" * 40, "")
watching.verify_attestation = believed
attestation.open_verifier = lambda _: None
runpy.run_path(sys.argv[1], run_name="__main__")
"""
TITLES = {
    "signing-event": "`signing-event`: a new event",
    "collect": "`collect`: one signature in a review",
    "propose": "`propose`: an edited policy",
    "watch": "`watch`: a release of another repository",
    "sign": "`publish`, step `stage`",
    "build": "`publish`, step `build`",
    "live": "`publish`, step `live`",
    "record": "`publish`, step `record`",
    "monitor": "`monitor`: much is wrong",
    "monitor, well again": "`monitor`: all is well",
    "release": "`release`: into another repository",
}


class InProcesses(Place):
    """Runs the scripts as the actions do, each in a process of its own."""

    interpreters: Mapping[str, str]
    seconds = 0.0

    def _act(self, module: ModuleType, environment: Mapping[str, str]) -> tuple[int, str]:
        file = str(module.__file__)
        name = Path(file).stem
        command = [self.interpreters[name], "-E", "-s", "-X", "utf8"]
        command += ["-c", BELIEVING, file] if name == "watch" else [file]
        own = {"PATH": PATH, "HOME": str(self.directory), "LANG": "C.UTF-8"}
        if name == "watch":
            command[1:3] = []
            own["PYTHONPATH"] = str(ROOT / "scripts")
        began = time.perf_counter()
        done = subprocess.run(
            command, env={**own, **environment}, capture_output=True, text=True, check=False
        )
        self.seconds = time.perf_counter() - began
        return done.returncode, done.stdout + done.stderr


def bootstrap(command: str, cache: Path) -> tuple[float, str]:
    """Seconds that the bootstrap takes for a command, and the interpreter that it gives."""
    with tempfile.NamedTemporaryFile("r") as output:
        env = {**os.environ, "PATH": PATH, "RUNNER_TOOL_CACHE": str(cache), "GITHUB_OUTPUT": output.name}
        began = time.perf_counter()
        subprocess.run(
            [str(ROOT / "scripts" / "bootstrap"), command], check=True, stdout=subprocess.DEVNULL, env=env
        )
        took = time.perf_counter() - began
        return took, output.read().strip().removeprefix("python=")


def bootstraps() -> list[str]:
    """Rows: into an empty tool cache, and once more."""
    rows = []
    for command, title in (("publish", "all actions but `watch`"), ("watch", "`watch`")):
        with tempfile.TemporaryDirectory() as cache:
            cold, _ = bootstrap(command, Path(cache))
            warm = median(bootstrap(command, Path(cache))[0] for _ in range(WARM_ROUNDS))
        print(f"  bootstrap for {title}: {cold:.1f} s cold, {warm:.2f} s warm")
        rows.append(f"| {title} | {cold:.1f} s | {warm:.2f} s |")
    return rows


def asked(ran: Ran) -> tuple[int, int, int]:
    """Reads and writes of the API, and requests of git."""
    api = [one for one in ran.requests if one.kind in ("rest", "graphql")]
    writes = sum(one.method != "GET" and one.kind == "rest" for one in api)
    return len(api) - writes, writes, sum(one.kind == "git" for one in ran.requests)


def measured() -> str:
    """The section's text."""
    rows = bootstraps()
    cache = tool_cache("publish", "watch")
    interpreters = {name: bootstrap(name, cache)[1] for name in ("publish", "watch")}
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        base, clock = Path(scratch), Clock()
        with LabForge(base / "forge", clock=clock, contract=False) as forge, Pages(clock) as pages:
            place = InProcesses(forge, pages, clock, base / "place")
            place.interpreters = {
                name: interpreters["watch" if name == "watch" else "publish"]
                for name in ("signing-event", "collect", "propose", "watch", "publish", "monitor", "release")
            }
            place.found(edit=partial(policy, hosting="releases"))
            situations = Situations(place)
            lines += [row(place, situations, name) for name in JOBS]
    return text(rows, lines)


def row(place: InProcesses, situations: Situations, name: str) -> str:
    """One action, each time from the same beginning; and at once again, when there is nothing to do."""
    took = []
    for _ in range(ROUNDS):
        situations.go_to(name)
        ran = situations.run(name)
        if ran.outputs["state"] == "failed":
            raise SystemExit(f"{name}: {ran.told}\n{ran.log}")
        took.append(place.seconds)
    again = situations.run(name)
    reads, writes, git = asked(ran)
    idle_reads, idle_writes, _ = asked(again)
    print(f"  {name}: {median(took):.2f} s, {reads} reads, {writes} writes, {git} of git")
    return (
        f"| {TITLES[name]} | {median(took):.2f} s | {reads} | {writes} | {git} "
        f"| {place.seconds:.2f} s | {idle_reads} | {idle_writes} |"
    )


def text(rows: Sequence[str], lines: Sequence[str]) -> str:
    return (
        "What a job waits for before its script begins: `scripts/bootstrap` with an empty tool cache (the\n"
        "packages are downloaded), and with a full one "
        f"(median of {WARM_ROUNDS}). Goals: 15 s and 1 s.\n"
        "\n"
        "| bootstrap | cold | warm |\n"
        "|---|---|---|\n" + "\n".join(rows) + "\n"
        "\n"
        "The scripts of the actions, as processes, against the lab's forge on the same machine: a small\n"
        "repository on a day on which the job has all of its work to do "
        f"(median of {ROUNDS}), and at once again.\n"
        "Reads and writes: requests of the API; git: requests over HTTP, two or three to a fetch or push.\n"
        "The lab's forge takes part of the time; GitHub is further away. `watch` believes the attestation.\n"
        "\n"
        "| action | time | reads | writes | git | again | reads | writes |\n"
        "|---|---|---|---|---|---|---|---|\n" + "\n".join(lines) + "\n"
    )
