"""The commented ``keyturn.yml`` that ``keyturn init`` writes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from keyturn.policy.fields import field_at
from keyturn.policy.parser import parse

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9./:_-]*[A-Za-z0-9/]", re.ASCII)
_YAML_WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null"})

_SINGLE_SIGNER = """\

# Root and targets may have a threshold of 1. What that gives up: whoever gets hold of one key can make every
# app that updates from here install anything, and nobody else has to agree. Every signing event and the site
# say so. To leave it: name a second signer, write threshold: 2 and remove this line.
single-signer: true
"""


def render(
    *,
    name: str,
    signers: Sequence[str],
    threshold: int,
    app: str | None,
    online_key: str,
    url: str,
    branch: str = "main",
) -> str:
    """Write the policy of a new repository, with comments (SPEC: keyturn.yml).

    Args:
        name: Name of the repository; it never changes.
        signers: Logins of the people who sign root and targets.
        threshold: How many of them must sign; 1 writes ``single-signer: true`` and what that gives up.
        app: The first app, without platforms; None for no app yet.
        online_key: URI of the online key's private half.
        url: Root of the site, ending in ``/``.
        branch: Branch that holds what has been agreed on.

    Returns:
        Text that :func:`parse` reads without a problem.

    Raises:
        PolicyError: The arguments make no policy; line and column are those of the text that would result.
        EnvironmentFault: PyYAML is not installed.
    """
    people = ", ".join(_yaml(login) for login in signers)
    text = f"""\
# What this update repository should be. People review a change of this file like any code; it takes effect
# once the metadata that follows from it has been signed. Durations: a number and d (days) or h (hours).
version: 1
name: {_yaml(name)}  # never changes: it is part of every proof of possession
branch: {_yaml(branch)}

roles:
  root:  # says whose keys count
    signers: [{people}]
    threshold: {threshold}  # so many of them must sign
{_period("roles.root")}
  targets:  # says what is a release
    signers: [{people}]
    threshold: {threshold}
{_period("roles.targets")}

online:  # signs snapshot and timestamp without a person; decides nothing about releases
  key: {_yaml(online_key)}  # the private half; the public half is keyring/online.pub
  snapshot: {_flow_period("online.snapshot")}
  timestamp: {_flow_period("online.timestamp")}

delegations: {{}}  # paths left to other people, in search order, for example:
#  plugins:
#    paths: ["plugins/*.zip"]  # * and ? never match /
#    signers: [carol]
#    threshold: 1
#    terminating: true

{_apps(app)}
hosting:
  source: {field_at("hosting.source").default}  # target files are kept in targets/
  max-file: {field_at("hosting.max-file").default}  # larger ones are refused

publish:
  url: {_yaml(url)}  # root of the site
  keep: {field_at("publish.keep").default}  # so long superseded metadata and targets stay on the site
"""
    if threshold == 1:
        text += _SINGLE_SIGNER
    parse(text.encode())
    return text


def _apps(app: str | None) -> str:
    if app is None:
        return "apps: {}  # for example: {my-app: {platforms: []}}\n"
    return f"apps:\n  {_yaml(app)}:\n    platforms: []  # empty: one archive for all\n"


def _period(at: str) -> str:
    return f"""\
    expires: {field_at(f"{at}.expires").default}
    renew: {field_at(f"{at}.renew").default}  # signed anew so long before expiry"""


def _flow_period(at: str) -> str:
    return f"{{expires: {field_at(f'{at}.expires').default}, renew: {field_at(f'{at}.renew').default}}}"


def _yaml(text: str) -> str:
    """Text as a YAML scalar that is read as this text and nothing else, in ASCII."""
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return json.dumps(text)
