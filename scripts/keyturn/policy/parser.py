"""Bytes to a :class:`Policy`, or to every problem at once (SPEC: keyturn.yml)."""

from __future__ import annotations

import re
from functools import lru_cache

from keyturn.policy import document, sense, shape
from keyturn.policy.document import Node, Pairs, Scalar
from keyturn.policy.model import (
    AppPolicy,
    DelegationPolicy,
    Duration,
    HostingPolicy,
    OnlinePolicy,
    Period,
    Policy,
    PublishPolicy,
    RolePolicy,
    SourcePolicy,
    byte_count,
)
from keyturn.policy.problem import PolicyError, Problem
from keyturn.policy.shape import Answers

_LATER_VERSION = re.compile(r"[2-9]|[1-9][0-9]{1,8}", re.ASCII)


@lru_cache(maxsize=64)
def parse(text: bytes, *, file: str = "keyturn.yml") -> Policy:
    """Read a policy (SPEC: keyturn.yml).

    Args:
        text: The file's bytes: one YAML document, UTF-8 without byte order mark, at most 256 KiB.
        file: Name of the file for messages.

    Returns:
        The policy, every default filled in.

    Raises:
        PolicyError: The file has problems; all of them are in ``problems``, by line and column. A file
            that cannot be read as YAML to its end, or that is of a later version, has only those.
        EnvironmentFault: PyYAML is not installed.
    """
    read = document.read(text)
    if read.root is None:
        raise PolicyError(read.problems, file=file)
    later = _later_version(read.root)
    if later:
        raise PolicyError([later], file=file)
    answers, problems = shape.walk(read.root)
    problems = [*read.problems, *problems, *sense.judge(answers)]
    if problems:
        raise PolicyError(problems, file=file)
    return _policy(answers)


def _later_version(root: Node) -> Problem | None:
    """The one problem of a file of a later version: whatever else looks wrong in it may be right there."""
    for key, value in root.entries if isinstance(root, Pairs) else ():
        if isinstance(key, Scalar) and key.text == "version" and isinstance(value, Scalar):
            if value.tag != "int" or not _LATER_VERSION.fullmatch(value.text):
                return None
            what = f"version {value.text} of this format is not known to this version of Keyturn"
            todo = "Use a newer Keyturn, or write version: 1."
            return Problem("shape", value.mark.line, value.mark.column, "version", what, todo)
    return None


def _policy(answers: Answers) -> Policy:
    return Policy(
        version=answers.integers[("version",)],
        name=answers.texts[("name",)],
        branch=answers.texts[("branch",)],
        root=_role(answers, "roles", "root"),
        targets=_role(answers, "roles", "targets"),
        online=OnlinePolicy(
            key=answers.texts[("online", "key")],
            snapshot=_period(answers, "online", "snapshot"),
            timestamp=_period(answers, "online", "timestamp"),
        ),
        delegations=tuple(_delegation(answers, name) for name in answers.names[("delegations",)]),
        apps=tuple(
            AppPolicy(
                name, _texts(answers, "apps", name, "platforms"), _source(answers, "apps", name, "from")
            )
            for name in answers.names[("apps",)]
        ),
        hosting=HostingPolicy(
            source=answers.texts[("hosting", "source")],
            directory=answers.texts.get(("hosting", "directory")),
            max_file=byte_count(answers.texts[("hosting", "max-file")]),
        ),
        publish=PublishPolicy(
            url=answers.texts[("publish", "url")], keep=Duration(answers.texts[("publish", "keep")])
        ),
        single_signer=answers.flags[("single-signer",)],
    )


def _delegation(answers: Answers, name: str) -> DelegationPolicy:
    return DelegationPolicy(
        name=name,
        paths=_texts(answers, "delegations", name, "paths"),
        terminating=answers.flags[("delegations", name, "terminating")],
        role=_role(answers, "delegations", name),
    )


def _source(answers: Answers, *at: str) -> SourcePolicy | None:
    texts = {name: answers.texts.get((*at, name)) for name in ("repository", "workflow", "tag", "asset")}
    given = {name: text for name, text in texts.items() if text is not None}
    return SourcePolicy(**given) if len(given) == len(texts) else None


def _role(answers: Answers, *at: str) -> RolePolicy:
    threshold = (*at, "threshold")
    return RolePolicy(
        signers=_texts(answers, *at, "signers"),
        threshold=answers.integers[threshold],
        period=_period(answers, *at),
    )


def _period(answers: Answers, *at: str) -> Period:
    expires, renew = (*at, "expires"), (*at, "renew")
    return Period(expires=Duration(answers.texts[expires]), renew=Duration(answers.texts[renew]))


def _texts(answers: Answers, *at: str) -> tuple[str, ...]:
    return tuple(value for _, value in answers.items(*at))
