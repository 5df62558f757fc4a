"""``keyturn.yml``, the wish: read into frozen dataclasses, every error with its line (SPEC: keyturn.yml).

The signed metadata is the truth; nothing here makes an invalid thing valid. Reading goes in four steps,
one module each, and all problems of a file come out together:

``document``
    bytes to nodes with line and column. YAML's traps (anchors, tags, several documents, characters that do
    not show, deep nesting) end here. The only module that knows PyYAML, and it imports it when first used.
``shape``
    nodes against the one table ``FIELDS``: unknown keys, types, patterns, bounds, what is missing.
``sense``
    what no table of single fields can see: values that contradict each other or that cannot be meant.
``parser``
    values to a :class:`Policy`, once nothing is left to complain about.

Use::

    try:
        policy = parse(tree.read("keyturn.yml"))
    except PolicyError as error:
        for problem in error.problems:
            print(problem.line, problem.column, problem.what, problem.todo)
"""

from __future__ import annotations

from keyturn.policy.fields import FIELDS, Field, Kind
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
)
from keyturn.policy.parser import parse
from keyturn.policy.problem import PolicyError, Problem
from keyturn.policy.template import render

__all__ = [
    "FIELDS",
    "AppPolicy",
    "DelegationPolicy",
    "Duration",
    "Field",
    "HostingPolicy",
    "Kind",
    "OnlinePolicy",
    "Period",
    "Policy",
    "PolicyError",
    "Problem",
    "PublishPolicy",
    "RolePolicy",
    "SourcePolicy",
    "parse",
    "render",
]
