"""``docs/rules.md``: the page about the rules, made from the tables that verification applies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from keyturn.verify.event import Event
from keyturn.verify.model import Rule, Severity
from keyturn.verify.published import PUBLISHED_RULES, Publication
from keyturn.verify.table import EVENT_RULES, FILE_RULES, POLICY_RULES, ROOT_RULES

AnyRule: TypeAlias = "Rule[Event] | Rule[Publication]"

_BEGINNING = """\
# The rules

<!-- Generated from the tables in scripts/keyturn/verify/; `make docs` writes it anew. -->

```console
$ keyturn status
$ keyturn verify https://updates.example.org/ --root 1.root.json
```

`status` and `sign` judge a signing event as a whole: the repository as it would be after the merge. `verify`
judges a site, a directory or a git revision. Both say every finding at once, each with the id of the rule
that is broken, where, why the rule is there, and what to do.

An *error* makes an event or a site invalid: it is neither merged nor published, and the exit code is 3. A
*warning* is shown to whoever signs and stops nothing. An id is never given to another rule.
"""


def page() -> str:
    """The page as Markdown."""
    return "".join(
        [
            _BEGINNING,
            _section("Root chain and baseline", "What `main` is, proven from the pinned root.", ROOT_RULES),
            _section("Signing events", "The roles and keys of the repository after the merge.", EVENT_RULES),
            _section("Published trees", "A site, walked as a client walks it.", PUBLISHED_RULES),
            _section("Paths and files", "What a signing event may bring, and where.", FILE_RULES),
            _section("Policy and keyring", "What was asked for, and by whom.", POLICY_RULES),
        ]
    )


def _section(heading: str, about: str, rules: Sequence[AnyRule]) -> str:
    overview = [f"| [{rule.id}](#{rule.id.lower()}) | {_shown(rule)} | {rule.title} |" for rule in rules]
    table = "\n".join(["| id | severity | rule |", "|---|---|---|", *overview])
    return f"\n## {heading}\n\n{about}\n\n{table}\n" + "".join(map(_rule, rules))


def _shown(rule: AnyRule) -> str:
    return f"{rule.severity.value}{' (or warning)' if rule.milder else ''}"


def _rule(rule: AnyRule) -> str:
    milder = f"; a {Severity.WARNING.value} where {rule.milder}" if rule.milder else ""
    facts = [
        f"Rule: {rule.title}",
        f"Severity: {rule.severity.value}{milder}",
        f"Why: {rule.why}",
        f"How to mend it: {rule.mend}",
        f"Since: {rule.since}",
    ]
    return "\n".join([f"\n### {rule.id}\n", *(f"- {fact}" for fact in facts)]) + "\n"
