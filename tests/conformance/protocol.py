"""The command line protocol of TUF client conformance suites, over the strict half of Keyturn's client.

    client --metadata-dir D init ROOT
    client --metadata-url U --metadata-dir D refresh
    client --metadata-url U --metadata-dir D --target-name T [--target-name T2]
           --target-dir TD --target-base-url B download

Trusted metadata lies in D as ROLE.json; a target lies in TD under its percent-encoded path. The exit code is
0 if all was done and 1 if any of it was not; then standard error ends with one line of JSON: the reason, the
role concerned if one is, what is wrong and where.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from keyturn.client.errors import UpdateRefused, disk_faults
from keyturn.client.trust import Trust
from keyturn.errors import KeyturnError, UsageError

# Everything else would fail somewhere inside, and look like a refusal.
_NEEDED = {
    "init": ("metadata_dir", "root"),
    "refresh": ("metadata_dir", "metadata_url"),
    "download": ("metadata_dir", "metadata_url", "target_name", "target_dir", "target_base_url"),
}


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)  # argparse itself would exit with 2, which the protocol does not have


def main(arguments: Sequence[str]) -> int:
    """Do what one command line says.

    Args:
        arguments: The command line without the program.

    Returns:
        0 if all was done, else 1.
    """
    try:
        options = _options(arguments)
        if options.command == "init":
            _init(options)
        elif options.command == "refresh":
            _trust(options).refresh()
        else:
            _download(options)
    except KeyturnError as error:
        role = error.role if isinstance(error, UpdateRefused) else ""
        said = {"reason": error.reason, "role": role, "what": error.what, "where": error.where}
        print(json.dumps(said), file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str]) -> Namespace:
    parser = _Parser(prog="client", allow_abbrev=False)
    parser.add_argument("--metadata-dir", type=Path)
    parser.add_argument("--metadata-url", type=_directory)
    parser.add_argument("--target-name", action="append")
    parser.add_argument("--target-dir", type=Path)
    parser.add_argument("--target-base-url", type=_directory, default="")
    parser.add_argument("command", choices=_NEEDED)
    parser.add_argument("root", type=Path, nargs="?")
    options = parser.parse_args(arguments)
    for needed in _NEEDED[options.command]:
        if not getattr(options, needed):
            raise UsageError(f"{options.command} needs {needed.replace('_', '-')}")
    return options


def _directory(url: str) -> str:
    """The suite's own examples leave the slash out."""
    return url if url.endswith("/") else f"{url}/"


def _trust(options: Namespace, root: bytes | None = None) -> Trust:
    return Trust(options.metadata_dir, options.metadata_url or "", options.target_base_url, root=root)


def _init(options: Namespace) -> None:
    with disk_faults(options.root):
        root = options.root.read_bytes()
    _trust(options, root).init()


def _download(options: Namespace) -> None:
    trust = _trust(options)
    # One after the other with one client: what one target's search has verified is held for the next.
    for name in options.target_name:
        target = trust.get_target(name)
        if target is None:
            raise UpdateRefused("no role has signed for this path", where=name, reason="no-target")
        trust.download(target, options.target_dir / quote(name, safe=""))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
