"""What every demo begins and ends with: its options, its directory, the attacks, and what came of them."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from keyturn.demo.attacks import ATTACKS, Attack, Outcome, attack
from keyturn.demo.page import Page, Style
from keyturn.demo.steps import Steps
from keyturn.demo.world import World
from keyturn.errors import EnvironmentFault, ExitCode, UsageError

_TITLE = 60


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a person may choose.

    Args:
        keep: Directory for everything, new or empty; a new temporary one if None.
        serve: Port on which the site is served at the end, until interrupted; None not to.
        cache: Directory that keeps the app's wheels; the user's own cache if None.
    """

    keep: Path | None = None
    serve: int | None = None
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """How the demo went.

    Args:
        site: Directory of the site.
        outcomes: Every attack, and what came of it.
        seconds: How long it all took.
    """

    site: Path
    outcomes: tuple[tuple[Attack, Outcome], ...]
    seconds: float

    @property
    def exit_code(self) -> ExitCode:
        """``DONE`` if every attack was refused for the reason named, else ``INVALID``."""
        return ExitCode.DONE if all(outcome.refused for _, outcome in self.outcomes) else ExitCode.INVALID

    def to_dict(self) -> dict[str, object]:
        """The same as ``--json`` shows it."""
        return {
            "site": str(self.site),
            "seconds": round(self.seconds, 1),
            "attacks": [
                {"attack": one.name, "ended": outcome.ending.value, "said": outcome.said}
                for one, outcome in self.outcomes
            ],
        }


def be_attacked(
    world: World, steps: Steps, attacks: Sequence[Attack] = ATTACKS
) -> tuple[tuple[Attack, Outcome], ...]:
    """Act four: the attacks.

    Args:
        world: The world as the first three acts left it.
        steps: Runs and tells what people do.
        attacks: Which attacks.

    Raises:
        Unexpected: An attacker was stopped before what the attack is about.
    """
    steps.page.act(
        "4  Attacks",
        "Each on a copy of the site, on another port, by somebody who has everything but the one thing",
        "that the refusal is about.",
    )
    return tuple((one, attack(one, world, steps)) for one in attacks)


def close(page: Page, steps: Steps, played: Played) -> None:
    """Tell what came of every attack, and where the site lies."""
    page.act("What came of it")
    for one, outcome in played.outcomes:
        looks: Style = "good" if outcome.refused else "bad"
        page.row([(one.title, _TITLE, ""), (outcome.said, 0, looks)])
    bad = sum(not outcome.refused for _, outcome in played.outcomes)
    told = f"{steps.count} steps, {steps.processes} processes of keyturn, {played.seconds:.0f} seconds"
    page.text()
    if bad:
        page.text(f"{told}; {bad} of {len(played.outcomes)} attacks did not end as they must", style="bad")
    else:
        page.text(f"{told}; every attack was refused, each for its own reason", style="good")
    page.text("", f"The site lies in {played.site}")


def work_directory(keep: Path | None) -> Path:
    """Where everything goes.

    Args:
        keep: The directory that the person named, new or empty; a new temporary one if None.

    Raises:
        UsageError: It holds something already.
        EnvironmentFault: It cannot be used.
    """
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="keyturn-demo-")).resolve()
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise UsageError("holds something already", where=str(keep), todo="Name a new directory.")
    except OSError as error:
        raise EnvironmentFault(f"cannot be used: {error.strerror}", where=str(keep)) from error
    return keep.resolve()


def wheel_cache() -> Path:
    """Where the app's wheels are kept between runs, unless the person said otherwise."""
    return Path(platformdirs.user_cache_dir("keyturn", appauthor=False)) / "demo"


def until_interrupted() -> None:
    """Wait for Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
