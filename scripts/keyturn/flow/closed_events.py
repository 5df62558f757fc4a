"""Events that a person closed: their branches stay, since what was signed there stays signed."""

from __future__ import annotations

from keyturn.forge import EVENT_PREFIX, Forge
from keyturn.forge.host import Host, PullRequest


def closed_topics(forge: Forge, host: Host) -> frozenset[str]:
    """Topics whose newest pull request was closed by a person and whose branch did not move since.

    Args:
        forge: The remote, refreshed.
        host: The code host.

    Raises:
        HostError: The host does not list its pull requests.
    """
    tips = {topic: tip for topic, tip in forge.events().items() if not forge.is_merged(topic)}
    if not tips:
        return frozenset()
    current = {_topic(pull) for pull in host.pull_requests()}
    if tips.keys() <= current:
        return frozenset()
    newest: dict[str, PullRequest] = {}
    for pull in host.pull_requests(open_only=False):
        newest.setdefault(_topic(pull), pull)
    return frozenset(
        topic
        for topic, pull in newest.items()
        if topic not in current and not pull.merged and pull.head == tips.get(topic)
    )


def _topic(pull: PullRequest) -> str:
    return pull.branch.removeprefix(EVENT_PREFIX)
