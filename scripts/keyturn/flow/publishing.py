"""Publishing: online roles over the verified ``main``, the site tree, a client's trial, then the site.

The order is write-ahead: what is signed is in ``keyturn/staged`` before anybody is served it, and
``keyturn/published`` follows when it is out. Both are caches, never authorities: what is read from them
counts only as far as it verifies from the pinned root. A run that died is healed by the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keyturn.errors import RefusedError, UsageError
from keyturn.flow.context import Context, Source, assemble, pinned_digest, require_pin, require_policy
from keyturn.flow.events import invalid
from keyturn.flow.live import Live, no_live
from keyturn.flow.retry import until_pushed
from keyturn.forge import PUBLISHED, STAGED
from keyturn.hosting import open_hosting
from keyturn.policy import Policy
from keyturn.publish.online import sign_online
from keyturn.publish.page import render_page
from keyturn.publish.site_tree import LAST, build_site
from keyturn.signing import KeySigner
from keyturn.state import Site, State
from keyturn.tree import Tree, changes, overlay, write_directory
from keyturn.trial import update_between
from keyturn.verify import Publication, errors, root_counts, verify_event, verify_published

SITE_MARK = "metadata/timestamp.json"
"""The file by which a directory is known to hold a site."""
EXPIRED = "KT211"
"""The one finding that a site which was good once may have now."""


@dataclass(frozen=True, slots=True)
class PublishedSite:
    """What ``publish`` did.

    Args:
        directory: Where the site lies.
        url: Where it will be served, from the policy.
        signed: Online roles signed anew, with versions.
        timestamp: Version of the timestamp.
        tried: How many targets the stock client downloaded.
        changed: Whether anything is new since the last publication.
        live: What was learned from the live site, a sentence.
        root_digest: The repository's root digest.
    """

    directory: Path
    url: str
    signed: tuple[tuple[str, int], ...]
    timestamp: int
    tried: int
    changed: bool
    live: str
    root_digest: str


def publish(context: Context, out: Path, signers: Sequence[KeySigner], live: Live = no_live) -> PublishedSite:
    """Publish ``main`` into a directory.

    Args:
        context: Where.
        out: The directory that is, or will be, served; made equal to the site.
        signers: The online key, and for some days after it was changed the one before it; none if nothing
            needs to be signed.
        live: Looks at what is served now.

    Raises:
        RefusedError: ``main`` or the built site does not verify (``invalid``, ``no-pin``, ``other-root``), a
            client would not update (``trial``), or the key is not the online key (``foreign-key``).
        UsageError: Something has to be signed and there is no key, or ``out`` is somebody's other directory
            (reason ``not-a-site``).
        PushRejected: Another run publishes at the same time.
    """
    _check_out(out)
    return until_pushed(context.forge, lambda: _publish_once(context, out, signers, live))


def _check_out(out: Path) -> None:
    """Refuse a directory that holds anything but a site: all else would be deleted there."""
    if out.is_dir() and any(out.iterdir()) and not (out / SITE_MARK).is_file():
        raise UsageError(
            "is neither empty nor a site that keyturn published",
            where=str(out),
            todo="Name a new directory, or the one you published into before.",
            reason="not-a-site",
        )


def _publish_once(context: Context, out: Path, signers: Sequence[KeySigner], live: Live) -> PublishedSite:
    forge = context.forge
    main = forge.tree(forge.main())
    policy = require_policy(main)
    state, digest = _verified(context, main)
    served = live(policy.publish.url)
    caches = [Site(forge.tree(forge.branch_tip(name))) for name in (PUBLISHED, STAGED)]
    known = [*caches, *([served.site] if served.site else [])]
    _refuse_older_root(state, known)
    online = sign_online(state, signers, known, context.now)
    previous = next((site for site in caches if _once_valid(site, digest, context)), None)
    hosting = open_hosting(policy, main)
    files = build_site(state, online, hosting.read, previous, policy.publish.keep.delta, context.now)
    built = _with_page(files, policy, digest, context)
    findings = errors(verify_published(_publication(built, digest, context)))
    if findings:
        raise invalid(findings, built.name)
    changed = previous is None or bool(changes(previous.tree, built))
    tried = update_between(
        previous.tree if previous else None, built, root=state.roots[1].data, now=context.now
    )
    commit = forge.record(
        STAGED, built, _message(online.signed, online.timestamp.version), context.author, context.now
    )
    write_directory(built, out, last=LAST)
    forge.forward(PUBLISHED, commit)
    versions = {"snapshot": online.snapshot.version, "timestamp": online.timestamp.version}
    return PublishedSite(
        directory=out,
        url=policy.publish.url,
        signed=tuple((name, versions[name]) for name in online.signed),
        timestamp=online.timestamp.version,
        tried=tried,
        changed=changed,
        live=served.said,
        root_digest=digest,
    )


def _verified(context: Context, main: Tree) -> tuple[State, str]:
    """The state of ``main``, with everything about it verified from the pinned root digest."""
    forge = context.forge
    pinned = pinned_digest(context.remembered, context.root_digest)
    loaded = assemble(Source.alone(forge.branch, forge.url, main), pinned, context.now)
    if loaded.event.founding:
        raise UsageError(
            "there is nothing to publish: the repository is not founded yet",
            where=forge.url,
            todo="Finish and merge the founding event.",
        )
    require_pin(loaded.event, forge.branch)
    findings = errors(verify_event(loaded.event).findings)
    if findings or loaded.event.pinned is None:
        raise invalid(findings, forge.branch)
    return loaded.event.baseline, loaded.event.pinned


def _refuse_older_root(state: State, known: Sequence[Site]) -> None:
    """Refuse a main whose root is older than one that was published, or another of the same number.

    The next root may be there because keys of this one were stolen: whoever starts from it must get there.
    """
    for version, root in state.roots.items():
        for site in known:
            following = site.file("root", version + 1)
            ours = state.roots.get(version + 1)
            if following is None or following.version != version + 1:
                continue
            if ours is not None and ours.digest == following.digest:
                continue
            if all(tally.met for tally in root_counts(root, following)):
                raise RefusedError(
                    f"root is version {version} on main, but root {version + 1} was published"
                    if ours is None
                    else f"root {version + 1} on main is not the one that was published",
                    where="metadata/root.json",
                    todo="Find out how main went back; restore every root that was published.",
                    reason="went-back",
                )


def _once_valid(site: Site, digest: str, context: Context) -> bool:
    """Whether a cached site verifies from the pinned root, were it not for its age."""
    if site.empty:
        return False
    findings = errors(verify_published(Publication(site=site, now=context.now, pinned=digest)))
    return all(finding.id == EXPIRED for finding in findings)


def _publication(tree: Tree, digest: str, context: Context) -> Publication:
    return Publication(site=Site(tree), now=context.now, pinned=digest)


def _with_page(files: Tree, policy: Policy, digest: str, context: Context) -> Tree:
    page = render_page(_publication(files, digest, context), name=policy.name, url=policy.publish.url)
    return overlay(files, {"index.html": page})


def _message(signed: tuple[str, ...], timestamp: int) -> str:
    what = f"Sign {' and '.join(signed)}" if signed else "Publish"
    return f"{what} (timestamp {timestamp})"
