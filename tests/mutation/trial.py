"""Trying mutants: a pytest plugin that runs the collected tests anew for each of them."""

from __future__ import annotations

import gc
import hashlib
import json
import math
import os
import resource
import signal
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

from mutation.mutants import Mutant
from mutation.results import Fate, Result, Results
from mutation.switch import switch

Answer = TypeVar("Answer")
CPU_FACTOR, CPU_SECONDS = 4, 5
"""How many times longer than usual the tests of a mutant may take, and how much in addition."""
WALL_FACTOR, WALL_SECONDS = 8, 10
"""The same by the clock, for a mutant that waits for what never comes; a busy machine needs more of it."""
SAVE_EVERY = 50
BROKEN = 70
"""What a child ends with that neither ran its tests to the end nor saw one fail."""
TIME_IS_UP = {-signal.SIGXCPU, -signal.SIGALRM, -signal.SIGKILL}


@dataclass(frozen=True, slots=True)
class Measured:
    """One test, as it was when no mutant was on.

    Args:
        seconds: How long it took.
        calls: Which mutated functions it called.
    """

    seconds: float
    calls: frozenset[str]


@dataclass(frozen=True, slots=True)
class Child:
    """A process in which one mutant is on.

    Args:
        mutant: The mutant.
        pipe: Where the process says which test failed.
        state: Digest of the tests that are run.
    """

    mutant: Mutant
    pipe: int
    state: str


@dataclass(slots=True)
class Trial:
    """The plugin: it takes the place of pytest's own loop over the tests.

    Args:
        mutants: What to try.
        results: Where the fates are kept.
        workers: How many mutants at a time.
        state: Digest of everything that the tests depend on, but the tests themselves.
        work: A directory for this run's files.
    """

    mutants: Sequence[Mutant]
    results: Results
    workers: int
    state: str
    work: Path
    _tests: dict[str, Measured] = field(default_factory=dict)
    _made_by: frozenset[str] = frozenset()
    _killers: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _rules: dict[str, str] = field(default_factory=dict)
    _files: dict[Path, str] = field(default_factory=dict)
    _running: dict[int, Child] = field(default_factory=dict)
    _report: int = -1

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Measure the tests, then try every mutant whose fate does not stand."""
        if session.testsfailed or not session.items:
            raise session.Interrupted("the tests cannot be collected")
        # Made before the first fork: else each child would empty the place that the others work in.
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        self._measure(session)
        self._rules = _functions_of_rules()
        for mutant in self.mutants:
            result = self.results.fates.get(mutant.digest)
            if result and result.test in self._tests:
                self._learn(mutant, result.test)
        due = [mutant for mutant in self.mutants if not self._known(session, mutant)]
        print(f"  {len(self.mutants)} mutants, {len(due)} to try; {len(self._tests)} tests", flush=True)
        if not due:
            return True
        try:
            # What the cases are made of is mutated too: those mutants come first, while no case is made yet.
            self._try_all(session, [mutant for mutant in due if mutant.called in self._made_by])
            _make_cases()
            self._forked(session, self._run_like_a_mutant)
            self._try_all(session, [mutant for mutant in due if mutant.called not in self._made_by])
        finally:
            self.results.save()
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """In a child, the first failure is the end of the mutant."""
        if self._report >= 0 and report.failed:
            os.write(self._report, f"{report.nodeid}\n{report.longreprtext}".encode()[:60_000])
            os._exit(1)

    def _measure(self, session: pytest.Session) -> None:
        kept = self.work / "tests.json"
        state = hashlib.sha256(
            "\0".join([self.state, *(i.nodeid for i in session.items), *self._sources(session)]).encode()
        ).hexdigest()
        held = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        if held.get("state") != state:
            print("\n  every test once, without a mutant", flush=True)
            held = {
                "state": state,
                "tests": self._forked(session, _run_all),
                "made_by": self._forked(session, _made),
            }
            kept.write_text(json.dumps(held), encoding="utf-8")
        self._tests = {
            name: Measured(seconds, frozenset(calls)) for name, (seconds, calls) in held["tests"].items()
        }
        self._made_by = frozenset(held["made_by"])

    def _sources(self, session: pytest.Session) -> list[str]:
        return [self._source(path) for path in sorted({item.path for item in session.items})]

    def _source(self, path: Path) -> str:
        if path not in self._files:
            self._files[path] = hashlib.sha256(path.read_bytes()).hexdigest()
        return self._files[path]

    def _forked(self, session: pytest.Session, work: Callable[[pytest.Session], Answer]) -> Answer:
        """The answer of a function that runs in a process of its own and leaves nothing behind here."""
        answer = self.work / "answer.json"
        answer.unlink(missing_ok=True)
        pid = os.fork()
        if not pid:
            self._in_child(
                session, os.dup(2), lambda _: answer.write_text(json.dumps(work(session)), "utf-8")
            )
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            raise session.Interrupted("a test fails without any mutant")
        given: Answer = json.loads(answer.read_text(encoding="utf-8"))
        return given

    def _known(self, session: pytest.Session, mutant: Mutant) -> bool:
        result = self.results.fates.get(mutant.digest)
        if result is None:
            return False
        if result.fate is Fate.KILLED:
            return result.test in self._tests
        return result.fate is Fate.TIMEOUT or result.state == self._state(self._chosen(session, mutant))

    def _chosen(self, session: pytest.Session, mutant: Mutant) -> list[pytest.Item]:
        """The tests that call a mutant's function, those first that are likely to notice."""
        rule = self._rules.get(mutant.called, "-")
        killers, of_module = self._killers[mutant.called], self._killers[mutant.module]

        def order(item: pytest.Item) -> tuple[int, bool, int, float]:
            name = item.nodeid
            return -killers[name], rule not in name, -of_module[name], self._tests[name].seconds

        return sorted((i for i in session.items if mutant.called in self._tests[i.nodeid].calls), key=order)

    def _state(self, items: Sequence[pytest.Item]) -> str:
        names = sorted(item.nodeid for item in items)
        sources = [self._source(path) for path in sorted({item.path for item in items})]
        return hashlib.sha256("\0".join([self.state, *names, *sources]).encode()).hexdigest()[:16]

    def _run_like_a_mutant(self, session: pytest.Session) -> None:
        """The proof that a kill is one: in the order of a mutant's tests, with cases made, nothing fails."""
        _run(sorted(session.items, key=lambda item: self._tests[item.nodeid].seconds))

    def _learn(self, mutant: Mutant, test: str) -> None:
        self._killers[mutant.called][test] += 1
        self._killers[mutant.module][test] += 1

    def _try_all(self, session: pytest.Session, mutants: Sequence[Mutant]) -> None:
        gc.collect()
        gc.freeze()
        for number, mutant in enumerate(mutants, start=1):
            while len(self._running) >= self.workers:
                self._wait()
            tests = self._chosen(session, mutant)
            if tests:
                self._start(session, mutant, tests)
            else:
                self.results.fates[mutant.digest] = Result(Fate.UNTESTED, state=self._state(tests))
            if number % SAVE_EVERY == 0:
                self.results.save()
                tally = self.results.tally(self.mutants)
                print(
                    f"  {time.strftime('%H:%M:%S')} {number} of {len(mutants)} {mutant.file}: {tally}",
                    flush=True,
                )
        while self._running:
            self._wait()

    def _start(self, session: pytest.Session, mutant: Mutant, tests: Sequence[pytest.Item]) -> None:
        seconds = sum(self._tests[item.nodeid].seconds for item in tests)
        state = self._state(tests)
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(read)
            cpu = math.ceil(CPU_FACTOR * seconds) + CPU_SECONDS
            resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
            signal.alarm(math.ceil(WALL_FACTOR * seconds) + WALL_SECONDS)
            switch.module, switch.mutant = mutant.module, mutant.name
            self._in_child(session, write, lambda _: _run(tests))
        os.close(write)
        self._running[pid] = Child(mutant, read, state)

    def _in_child(
        self, session: pytest.Session, pipe: int, work: Callable[[pytest.Session], object]
    ) -> NoReturn:
        """Do something in a forked process and end it: 0 if it went well, 1 where a test failed."""
        try:
            self._report = pipe
            session.config.pluginmanager.unregister(name="terminalreporter")
            nowhere = os.open(os.devnull, os.O_RDWR)
            for standard in (0, 1, 2):
                os.dup2(nowhere, standard)
            work(session)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - whatever it is must not reach the parent's code above
            os.write(pipe, traceback.format_exc().encode())
        finally:
            os._exit(BROKEN)

    def _wait(self) -> None:
        pid, status = os.waitpid(-1, 0)
        child = self._running.pop(pid)
        with os.fdopen(child.pipe, "rb") as pipe:
            said = pipe.read().decode(errors="replace")
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            result = Result(Fate.SURVIVED, state=child.state)
        elif code in TIME_IS_UP:
            result = Result(Fate.TIMEOUT)
        elif code == 1:
            test = said.partition("\n")[0]
            result = Result(Fate.KILLED, test=test)
            self._learn(child.mutant, test)
        else:
            raise RuntimeError(f"{child.mutant.name} of {child.mutant.file} ended with {code}: {said}")
        self.results.fates[child.mutant.digest] = result


def _run(tests: Sequence[pytest.Item]) -> None:
    for item, following in zip(tests, [*tests[1:], None], strict=True):
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)


def _run_all(session: pytest.Session) -> dict[str, tuple[float, list[str]]]:
    tests = {}
    for item, following in zip(session.items, [*session.items[1:], None], strict=True):
        switch.called, start = set(), time.perf_counter()
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        tests[item.nodeid] = (time.perf_counter() - start, sorted(switch.called))
    return tests


def _made(_: pytest.Session) -> list[str]:
    """The mutated functions that are called while the cases of the rules are made."""
    switch.called = set()
    _make_cases()
    return sorted(switch.called)


def _make_cases() -> None:
    from unit.event_scenarios import EVENTS
    from unit.site_scenarios import SITES

    for case in (*EVENTS.broken, *EVENTS.kept, *SITES.broken, *SITES.kept):
        case.make()


def _functions_of_rules() -> dict[str, str]:
    from keyturn.verify import PUBLISHED_RULES, RULES

    checks = [(rule.check, rule.id) for rule in (*RULES, *PUBLISHED_RULES)]
    return {f"{check.__module__}:x_{check.__name__}": rule for check, rule in checks}
