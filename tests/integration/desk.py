"""The job's side of a team: a clone of its own, and a code host in memory that knows the remote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from integration.team import NOW, Team
from keyturn.flow.checking_events import EventsChecked, check_events
from keyturn.flow.context import Context
from keyturn.forge.host import Account, Push, Status
from keyturn.forge.local import LocalForge
from keyturn.git import Git, Identity
from unit.fakehost import FakeHost

RUN = "https://github.example/alice/updates/actions/runs/7"
PEOPLE = {"alice": Account("alice", 1001), "bob": Account("bob", 1002), "mallory": Account("mallory", 1666)}
BOT = Account("github-actions[bot]", 41898282)
ZEROS = "0" * 40


class Desk:
    """The job's side: a clone of its own, and a host that knows the remote's branches."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.context: Context = team.person("robot").context
        self.git = Git(team.remote)
        self.host = FakeHost(
            tip=lambda branch: self.git.resolve(f"refs/heads/{branch}"),
            merged=lambda commit: self.git.is_ancestor(commit, "refs/heads/main"),
            accounts=list(PEOPLE.values()),
            collaborators=("alice", "bob"),
        )

    def check(self, *topics: str, now: datetime = NOW) -> EventsChecked:
        context = replace(self.context, now=now)
        return check_events(context, self.host, run_url=RUN, topics=topics or None)

    def tip(self, topic: str) -> str:
        tip = self.host.tip(f"sign/{topic}")
        assert tip is not None
        return tip

    def status(self, topic: str) -> Status:
        status = self.host.status(self.tip(topic))
        assert status is not None
        return status

    def comment(self, topic: str) -> str:
        pull = self.host.pull_request(f"sign/{topic}")
        assert pull is not None
        (text,) = (c.body for c in self.host.comments if c.number == pull.number)
        return text

    def number(self, topic: str) -> int:
        pull = self.host.pull_request(f"sign/{topic}")
        assert pull is not None
        return pull.number

    def pushed(self, topic: str, who: str, before: str = ZEROS) -> None:
        """The host's log of the branch's last push."""
        self.host.pushes.append(Push(f"sign/{topic}", before, self.tip(topic), PEOPLE.get(who, BOT), NOW))


def push(team: Team, branch: str, files: Mapping[str, bytes | None], *, orphan: bool = False) -> str:
    """A commit by hand on top of main, or with no history at all."""
    git = Git.open(team.person("mallory").clone)
    forge = LocalForge(git, "origin")
    forge.refresh()
    main = None if orphan else forge.main()
    author = Identity("mallory", "mallory@example.org")
    tree = git.write_tree(main, files)
    commit = git.commit_tree(tree, [main] if main else [], "by hand", author=author, when=NOW)
    git.run("push", "--quiet", "--force", "origin", f"{commit}:refs/heads/{branch}")
    return commit
