"""What the parser refuses and the JSON Schema does not, message by message, for ``docs/policy.md``.

Two reasons put a message here: the schema looks at one value at a time (``SENSE``), or it looks at a file
that a YAML reader has been through before (``READING``). A sign ``…`` in a message stands for what differs
from file to file. The tests hold these lists against the parser, both ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ANYTHING = "…"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One message of the parser.

    Args:
        message: What it says, ``…`` for any text.
        meaning: Why that is refused and what to write, as Markdown for the cell of a table.
    """

    message: str
    meaning: str

    def says(self, what: str) -> bool:
        """Whether a problem's ``what`` is this message."""
        return re.fullmatch(".*".join(map(re.escape, self.message.split(_ANYTHING))), what, re.S) is not None


@dataclass(frozen=True, slots=True)
class Rule:
    """The messages of one rule of sense.

    Args:
        name: Its name in ``sense``, or a name of its own for what ``shape`` sees on the way.
        about: What it is about, to complete "Rules for".
        fields: Paths of the table, or their last parts for any role, that it speaks of; empty for all.
        refusals: Its messages.
    """

    name: str
    about: str
    fields: tuple[str, ...]
    refusals: tuple[Refusal, ...]

    def concerns(self, path: str) -> bool:
        """Whether it speaks of a field of the table; false for a rule about all of them."""
        return any(f".{path}".endswith(f".{field}") for field in self.fields)


SENSE: tuple[Rule, ...] = (
    Rule(
        "branch",
        "the branch",
        ("branch",),
        (
            Refusal(
                "… is no name for a branch",
                "git takes no branch of this name: `HEAD`, `..` in it, an empty part between two `/`, a part "
                "that begins with `-` or a dot, or one that ends in a dot or `.lock`.",
            ),
            Refusal(
                "… lies where Keyturn keeps branches of its own",
                "Branches under `sign/` are signing events, those under `keyturn/` are the site. What has "
                "been agreed on needs a place apart from both.",
            ),
        ),
    ),
    Rule(
        "signers",
        "signers",
        ("signers[]",),
        (
            Refusal(
                "… stands twice in this role; one person is one signer",
                "A person counts once towards a threshold, and logins that differ only by case are the same "
                "person. Keep one of the two.",
            ),
            Refusal(
                "… is the name of the online key, no person's login",
                "In the metadata, `online` in place of a login marks the key that signs without a person. "
                "Whoever really has this login cannot be a signer.",
            ),
        ),
    ),
    Rule(
        "threshold",
        "thresholds",
        ("threshold",),
        (
            Refusal(
                "… signatures can never come together from …",
                "The threshold is above the number of different signers, so nothing could ever be signed. "
                "Lower it or name more people.",
            ),
            Refusal(
                "with a threshold of 1, one stolen … key is enough to make apps install anything",
                "Root and targets need two people at least. `single-signer: true` accepts the risk in "
                "writing, and every signing event and the site then say so.",
            ),
        ),
    ),
    Rule(
        "period",
        "periods",
        ("expires", "renew"),
        (
            Refusal(
                "renew (…) is not shorter than expires (…)",
                "The renewal would begin before the metadata was signed. Write both; where only one is "
                "written, the other has its default.",
            ),
        ),
    ),
    Rule(
        "freshness",
        "the freshness of snapshot",
        ("online.snapshot.expires", "online.timestamp.expires"),
        (
            Refusal(
                "timestamp (…) is valid longer than snapshot (…), which it keeps fresh",
                "A client that holds a valid timestamp would meet an expired snapshot. Let timestamp expire "
                "first, or both at once.",
            ),
        ),
    ),
    Rule(
        "delegation_name",
        "names of delegations",
        ("delegations.*",),
        (
            Refusal(
                "… is the name of a top-level role already",
                "`root`, `targets`, `snapshot` and `timestamp` mean something else in every TUF repository.",
            ),
            Refusal(
                "… is the name of a directory of the repository already",
                "`keyring` is what a proof of possession names as its role, and `root_history` lies where "
                "role files do.",
            ),
        ),
    ),
    Rule(
        "delegated_path",
        "delegated paths",
        ("delegations.*.paths[]",),
        (
            Refusal(
                "… has characters that do not show",
                "Controls, line breaks and characters that change the direction of text make a path look "
                "like another one in a review.",
            ),
            Refusal("… has a backslash", "The parts of a target path are separated by `/`, on every system."),
            Refusal("… is an absolute path", "A target path begins below `targets/`, without `/` in front."),
            Refusal(
                "… ends in /",
                "A target is a file. For all files of a directory, but not of those below it, write "
                '`"plugins/*"`.',
            ),
            Refusal(
                "… has an empty part between two /",
                "Servers and file systems take `a//b` for `a/b`, so that two paths would be one file.",
            ),
            Refusal("… has . or .. as a part", "It could leave `targets/`, or name a file by a second path."),
            Refusal(
                "… has a sign that file names on Windows cannot have",
                'One of `: " < >` and the vertical bar. Clients on Windows could not store such a target.',
            ),
            Refusal(
                "… has a part that begins with a blank, or ends with a blank or a dot",
                "Windows drops them, so that two paths would be one file.",
            ),
            Refusal(
                "… names a device on Windows",
                "`con`, `prn`, `aux`, `nul`, `com1` to `com9` and `lpt1` to `lpt9` are no files there, "
                "whatever follows after a dot.",
            ),
            Refusal(
                "… has signs that clients read differently: brackets, **, or ! or # in front",
                "TUF knows only `*` and `?`. Some clients give these signs a meaning of their own, and would "
                "then ask another role than the one that was meant.",
            ),
        ),
    ),
    Rule(
        "apps",
        "apps and platforms",
        ("apps.*", "apps.*.platforms[]"),
        (
            Refusal(
                "… and … differ only by case",
                "Files that carry such names are one and the same on some systems. Choose another name.",
            ),
            Refusal(
                "the platform … stands twice",
                "Platforms that differ only by case are the same one. Keep it once.",
            ),
        ),
    ),
    Rule(
        "source",
        "the repository that an app is taken from",
        ("apps.*.from", "apps.*.from.asset"),
        (
            Refusal("names no repository", "Add `repository: OWNER/REPOSITORY`, or remove `from`."),
            Refusal(
                "… would be the same file for every platform",
                "The app has several platforms: put `{platform}` into the file's name.",
            ),
        ),
    ),
    Rule(
        "hosting",
        "hosting",
        ("hosting.source", "hosting.directory", "hosting.max-file"),
        (
            Refusal(
                "with source: directory, the directory must be named",
                "Add `directory:` and the path.",
            ),
            Refusal(
                "a directory is named, but the source is …",
                "One of the two is left over: remove the directory, or write `source: directory`. The source "
                "is `git` where none is written.",
            ),
            Refusal(
                "… has characters that do not show",
                "A path to a directory is text that a reviewer can see.",
            ),
            Refusal(
                "GitHub takes no file above 100MB into git",
                "A larger target would be signed and could then not be pushed. Lower `max-file`, or keep "
                "targets in releases.",
            ),
            Refusal(
                "GitHub takes no file above 2GB into a release",
                "Whoever needs larger files keeps them in a directory that is served elsewhere.",
            ),
        ),
    ),
    Rule(
        "site",
        "the address of the site",
        ("publish.url",),
        (
            Refusal("… is not an address", "Its host or its port is malformed."),
            Refusal("… is neither http:// nor https://", "Clients fetch by these two only."),
            Refusal("… names no host", "The host's name is missing or malformed, or the port is 0."),
            Refusal(
                "… is neither encrypted nor on this computer",
                "Plain http is for trying things out: `127.0.0.1`, `localhost` and `[::1]`.",
            ),
            Refusal(
                "… carries a user name or password",
                "The policy and the site are public, and so would be the password.",
            ),
            Refusal("… carries a query", "Paths are put behind the address, where a query must not stand."),
            Refusal("… carries a fragment", "It is never sent to a server."),
            Refusal(
                "… does not end in /",
                "`metadata/` and `targets/` are put behind the address as it is written.",
            ),
            Refusal(
                "… has an empty part, . or .. in its path",
                "Some clients and servers shorten such a path and others do not.",
            ),
        ),
    ),
    Rule(
        "keys_and_numbers",
        "every key and number",
        (),
        (
            Refusal(
                "stands twice, first on line …",
                "YAML readers disagree on which of the two counts. Keep one.",
            ),
            Refusal(
                "… is a number, but not written in plain digits",
                "YAML reads `0x2`, `02`, `1_0` and `1:30` as numbers that a reviewer may read otherwise.",
            ),
        ),
    ),
)
"""The rules of sense, in the order in which ``sense`` applies them, then those that ``shape`` sees."""

READING: tuple[Refusal, ...] = (
    Refusal("the file is empty", "There is nothing in it, or nothing but comments."),
    Refusal("the file has … bytes; a policy has at most …", "256 KiB are far more than any policy needs."),
    Refusal("the file begins with a byte order mark", "Save it as UTF-8 without one."),
    Refusal("byte … is not UTF-8", "Save it as UTF-8."),
    Refusal(
        "the character … does not show, or hides what follows",
        "Controls, unusual line breaks and characters that change the direction of text are refused "
        "everywhere, also in comments: what a reviewer sees must be what is read.",
    ),
    Refusal("not valid YAML: …", "Indentation, quotes, brackets or colons; often of the line above."),
    Refusal("a second document begins", "A policy is one document; `---` may only stand at the top."),
    Refusal("… is an anchor", "Anchors let a value far away change what is meant here. Write it out."),
    Refusal("… is an alias", "As for anchors: write the value out in full."),
    Refusal("the value has a YAML tag", "Tags such as `!!str` change what a value is. Use quotes instead."),
    Refusal("merge keys are not used in a policy", "As for aliases: write the keys out in full."),
    Refusal("a key is a list or a mapping", "A key is a plain word."),
    Refusal("the key … is … to YAML, not text", "Put the name in quotes."),
    Refusal(
        "… is a number with a fraction to YAML; a number is needed",
        "For a schema `2.0` is the whole number `2`. Write `2`; `2.5` is refused by both.",
    ),
)
"""What is lost before a schema sees the file: a YAML reader has resolved it, dropped it or given up."""
