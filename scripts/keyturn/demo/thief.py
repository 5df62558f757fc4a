"""A thief's own Keyturn: the ordinary command, with the publisher's guards taken out of it.

A program that refuses to publish what is not signed stops nobody who can change the program. So the thief
of the demo does: ``python -m keyturn.demo.thief publish ...`` is ``keyturn publish`` that looks away. It
still signs with nothing but the keys that it was given; what must stop it is the client.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterable
from unittest.mock import patch

from keyturn.flow import publishing
from keyturn.verify import Finding


def main() -> None:
    """Run the command line without the verdict on ``main``, the one on the site, and the client's trial."""
    with (
        patch.object(publishing, "errors", _no_findings),
        patch.object(publishing, "update_between", _no_trial),
    ):
        runpy.run_module("keyturn", run_name="__main__", alter_sys=True)


def _no_findings(_findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return ()


def _no_trial(*_trees: object, **_circumstances: object) -> int:
    return 0


if __name__ == "__main__":
    main()
