"""Publishing: online roles over the verified ``main``, the site tree, a client's trial, then the site.

Four steps, each of which may run in a job of its own: :func:`stage` signs and writes ahead, :func:`build`
verifies that anew and lets a client try it, :func:`check_live` lets a client try what is served then, and
:func:`record` notes that it is out. Only the first one needs a key.

The order is write-ahead: what is signed is in ``keyturn/staged`` before anybody is served it, and
``keyturn/published`` follows when it is out. Both are caches, never authorities: what is read from them
counts only as far as it verifies from the pinned root. A run that died is healed by the next one: what it
staged is either still what would be made now, and is taken up as it is, or has a version that is not used
again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuf.ngclient import FetcherInterface

from keyturn.errors import RefusedError, UsageError
from keyturn.flow.context import (
    Context,
    Source,
    assemble,
    pinned_digest,
    read_keyring,
    require_pin,
    require_policy,
)
from keyturn.flow.elsewhere import published_site
from keyturn.flow.events import invalid
from keyturn.flow.live import Live, no_live
from keyturn.flow.retry import until_pushed
from keyturn.flow.visiting import Freshness, Visitor, patiently, wanted_targets
from keyturn.forge import PUBLISHED, STAGED
from keyturn.git import PushRejected
from keyturn.hosting import open_hosting, releases
from keyturn.policy import Policy
from keyturn.publish.online import sign_online
from keyturn.publish.page import render_page
from keyturn.publish.site_tree import LAST, build_site
from keyturn.signing import KeySigner, normalise_url
from keyturn.state import RoleFile, Site, State, fingerprint, short_fingerprint
from keyturn.tree import Kind, Tree, changes, overlay, write_directory
from keyturn.trial import update_between
from keyturn.verify import Publication, count, errors, root_counts, verify_event, verify_published

SITE_MARK = "metadata/timestamp.json"
"""The file by which a directory is known to hold a site."""
EXPIRED = "KT211"
"""The one finding that a site which was good once may have now."""


class Overtaken(RefusedError):
    """Another run published something newer meanwhile; nothing is wrong."""

    default_reason = "not-forward"


@dataclass(frozen=True, slots=True)
class Staged:
    """What ``stage`` did.

    Args:
        commit: The commit of ``keyturn/staged`` that is to be published.
        timestamp: Version of its timestamp.
        snapshot: Version of its snapshot.
        signed: Online roles signed anew, with versions.
        changed: Whether it is another site than the one published last, so that there is something to deploy.
        root_digest: The repository's root digest.
        said: What was learned from the live site, a sentence.
    """

    commit: str
    timestamp: int
    snapshot: int
    signed: tuple[tuple[str, int], ...]
    changed: bool
    root_digest: str
    said: str


@dataclass(frozen=True, slots=True)
class Built:
    """What ``build`` did.

    Args:
        directory: Where the site lies.
        commit: The commit of ``keyturn/staged`` that it is.
        url: Where it will be served, from the policy.
        timestamp: Version of its timestamp.
        tried: How many targets the stock client downloaded.
        root_digest: The repository's root digest.
    """

    directory: Path
    commit: str
    url: str
    timestamp: int
    tried: int
    root_digest: str


@dataclass(frozen=True, slots=True)
class LiveCheck:
    """What a stock client got from the live site.

    Args:
        freshness: How that compares with what was deployed.
        timestamp: Version of the timestamp that the client got.
        wanted: Version of the timestamp that was deployed.
        downloaded: Paths of the targets that it downloaded.
        left_out: How many changed targets were too large to be tried.
        attempts: How often it asked.
    """

    freshness: Freshness
    timestamp: int
    wanted: int
    downloaded: tuple[str, ...]
    left_out: int
    attempts: int

    @property
    def stale(self) -> bool:
        """Whether an older site is served that is still good: a warning, no failure."""
        return self.freshness is Freshness.STALE

    @property
    def said(self) -> str:
        """The result as a sentence."""
        if self.stale:
            return (
                f"the site still serves timestamp {self.timestamp} instead of {self.wanted}; what it serves "
                "verifies, so clients go on with it until the host catches up"
            )
        newer = f", newer than the {self.wanted} looked for" if self.timestamp > self.wanted else ""
        return (
            f"a stock client updated to timestamp {self.timestamp}{newer} and downloaded "
            f"{len(self.downloaded)} target{'' if len(self.downloaded) == 1 else 's'}"
        )


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
    """Publish ``main`` into a directory: all steps at once, where the directory is the site.

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


def _publish_once(context: Context, out: Path, signers: Sequence[KeySigner], live: Live) -> PublishedSite:
    staged = _stage_once(context, signers, live)
    try:
        built = _build_once(context, staged.commit, out)
        _record_once(context, staged.commit)
    except Overtaken as error:
        raise PushRejected(error.what, where=error.where, reason="push-rejected") from error
    return PublishedSite(
        directory=out,
        url=built.url,
        signed=staged.signed,
        timestamp=staged.timestamp,
        tried=built.tried,
        changed=staged.changed,
        live=staged.said,
        root_digest=staged.root_digest,
    )


def require_online_key(main: Tree, policy: Policy, signer: KeySigner) -> None:
    """Have a key be the one that ``keyring/online.pub`` holds, before it signs anything.

    Which key counts is said by root alone, and looked at when it signs; this tells a KMS that was turned to
    another key from one that root does not know yet.

    Args:
        main: The tree of ``main``.
        policy: Its policy.
        signer: What the policy's URI led to.

    Raises:
        RefusedError: It is another key (reason ``foreign-key``).
    """
    listed = read_keyring(main, policy.name).key("online")
    if listed is not None and fingerprint(listed) != fingerprint(signer.public):
        raise RefusedError(
            f"leads to the key {short_fingerprint(fingerprint(signer.public))}, and keyring/online.pub holds "
            f"{short_fingerprint(fingerprint(listed))}",
            where=signer.uri,
            todo="Name the right key in keyturn.yml; or change the online key with `keyturn join TOPIC "
            "--login online --key URI --replace`.",
            reason="foreign-key",
        )


def stage(context: Context, signers: Sequence[KeySigner], live: Live = no_live) -> Staged:
    """Sign what is to be published, and write it ahead: the only step that needs the online key.

    Nothing is signed while what was staged last is still what would be made now; then it stays as it is.

    Args:
        context: Where.
        signers: The online key, and for some days after it was changed the one before it; none if nothing
            needs to be signed.
        live: Looks at what is served now.

    Raises:
        RefusedError: ``main`` or the site made from it does not verify (``invalid``, ``no-pin``,
            ``other-root``), or the key is not the online key (``foreign-key``).
        UsageError: Something has to be signed and there is no key.
        PushRejected: Another run publishes at the same time.
    """
    return until_pushed(context.forge, lambda: _stage_once(context, signers, live))


def _stage_once(context: Context, signers: Sequence[KeySigner], live: Live) -> Staged:
    forge = context.forge
    main = forge.tree(forge.main())
    policy = require_policy(main)
    state, digest = _verified(context, main)
    served = live(policy.publish.url)
    caches = [Site(forge.tree(forge.branch_tip(name))) for name in (PUBLISHED, STAGED)]
    known = [*caches, *([served.site] if served.site else [])]
    _refuse_older_root(state, known)
    online = sign_online(state, signers, known, context.now)
    archives = releases_base(context, policy)
    proven = [site for site in caches if _once_valid(_publication(site.tree, digest, context, archives))]
    hosting = open_hosting(policy, main)
    files = build_site(
        state,
        online,
        hosting.read,
        _together(proven),
        policy.publish.keep.delta,
        context.now,
        releases=bool(archives),
    )
    page = render_page(
        _publication(files, digest, context, archives), name=policy.name, url=policy.publish.url
    )
    made = overlay(files, {"index.html": page})
    _require_sound(_publication(made, digest, context, archives))
    commit = forge.record(
        STAGED,
        made,
        _message(online.signed, online.timestamp.version),
        context.author,
        context.now,
        after=forge.branch_tip(PUBLISHED),
    )
    versions = {"snapshot": online.snapshot.version, "timestamp": online.timestamp.version}
    return Staged(
        commit=commit,
        timestamp=versions["timestamp"],
        snapshot=versions["snapshot"],
        signed=tuple((name, versions[name]) for name in online.signed),
        changed=not _holds(caches[0], proven, made),
        root_digest=digest,
        said=served.said,
    )


def build(context: Context, commit: str, out: Path) -> Built:
    """Verify what was staged anew, let a stock client try it, and write it into a directory.

    Args:
        context: Where.
        commit: The commit of ``keyturn/staged``, full id; nothing else is built.
        out: The directory that is, or will be, served; made equal to the site.

    Raises:
        RefusedError: The commit is not one of ``keyturn/staged`` (reason ``not-staged``), does not verify
            (``invalid``, ``no-pin``, ``other-root``), says what ``main`` does not (``not-on-main``), is older
            than what is published (``not-forward``, ``went-back``) or differs from it under the same number
            (``two-contents``), or a client would not update (``trial``).
        UsageError: ``out`` is somebody's other directory (reason ``not-a-site``).
    """
    _check_out(out)
    context.forge.refresh()
    return _build_once(context, commit, out)


def _build_once(context: Context, commit: str, out: Path) -> Built:
    forge = context.forge
    main = forge.tree(forge.main())
    policy = require_policy(main)
    staged = _staged(context, commit, policy)
    _require_of_main(staged, State(main))
    published = published_site(forge, staged.pinned, context.now)
    if published is not None:
        _require_forward(staged, published)
    tree = staged.site.tree
    root = staged.site.roots[1].data
    tried = update_between(
        published.site.tree if published else None,
        tree,
        root=root,
        now=context.now,
        releases=staged.releases,
    )
    write_directory(tree, out, last=LAST)
    return Built(
        directory=out,
        commit=commit,
        url=policy.publish.url,
        timestamp=_timestamp_of(staged).version,
        tried=tried,
        root_digest=staged.pinned,
    )


def check_live(
    context: Context,
    commit: str,
    url: str,
    *,
    attempts: int,
    pause: Callable[[], object],
    fetch: FetcherInterface | None = None,
) -> LiveCheck:
    """Let a stock client update from the live site, from root 1 alone and from the last published state.

    A host with many edges may go on serving the site before for some minutes. That is tolerated, as long as
    what it serves verifies.

    Args:
        context: Where.
        commit: The commit of ``keyturn/staged`` that was deployed, full id.
        url: The site's root, with a slash at the end.
        attempts: How often to ask before what is served counts.
        pause: Waits between two attempts.
        fetch: What the client fetches with; None is its own way.

    Raises:
        RefusedError: The client refuses what is served (reason ``trial``), which is other content under the
            same number (``two-contents``) or newer than anything that was staged (``foreign-timestamp``); or
            the commit is not one of ``keyturn/staged`` (``not-staged``) or does not verify (``invalid``).
        EnvironmentFault: The site does not answer (reason ``unreachable``).
    """
    forge = context.forge
    forge.refresh()
    staged = _staged(context, commit, require_policy(forge.tree(forge.main())))
    published = published_site(forge, staged.pinned, context.now)
    errand = wanted_targets(staged, published)
    visitor = Visitor(
        expected=staged,
        held=published,
        staged=Site(forge.tree(forge.branch_tip(STAGED))).timestamp,
        errand=errand,
        now=context.now,
        fetch=fetch,
    )
    visit, asked = patiently(visitor, url, attempts, pause)
    return LiveCheck(
        freshness=visit.freshness,
        timestamp=visit.timestamp.version,
        wanted=_timestamp_of(staged).version,
        downloaded=visit.downloaded,
        left_out=errand.left_out,
        attempts=asked,
    )


def record(context: Context, commit: str) -> bool:
    """Note that a commit of ``keyturn/staged`` is out: move ``keyturn/published`` ahead to it.

    Args:
        context: Where.
        commit: The commit, full id.

    Returns:
        Whether it was moved; False if it was there already.

    Raises:
        Overtaken: Something newer is published (reason ``not-forward``).
        RefusedError: The commit is not one of ``keyturn/staged`` (reason ``not-staged``).
        PushRejected: Another run records at the same time.
    """
    return until_pushed(context.forge, lambda: _record_once(context, commit))


def _record_once(context: Context, commit: str) -> bool:
    forge = context.forge
    tip = forge.branch_tip(PUBLISHED)
    if tip == commit:
        return False
    _require_staged(context, commit)
    if tip is not None and not forge.is_ancestor(tip, commit):
        raise Overtaken(
            "something that does not lead there was published meanwhile",
            where=f"{PUBLISHED}, commit {commit[:12]}",
            todo="Run the publication again from its start; it takes up what is there.",
        )
    forge.forward(PUBLISHED, commit)
    return True


def _check_out(out: Path) -> None:
    """Refuse a directory that holds anything but a site: all else would be deleted there."""
    if out.is_dir() and any(out.iterdir()) and not (out / SITE_MARK).is_file():
        raise UsageError(
            "is neither empty nor a site that keyturn published",
            where=str(out),
            todo="Name a new directory, or the one you published into before.",
            reason="not-a-site",
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


def _once_valid(cached: Publication) -> bool:
    """Whether a cached site verifies from the pinned root, were it not for its age."""
    if cached.site.empty:
        return False
    return all(finding.id == EXPIRED for finding in errors(verify_published(cached)))


def _holds(published: Site, proven: Sequence[Site], made: Tree) -> bool:
    return published in proven and not changes(published.tree, made)


def _together(proven: Sequence[Site]) -> Site | None:
    """What clients in flight may have met: what is published, and what was staged since.

    A run may have died after it deployed what it had staged, so both count.
    """
    if len(proven) < 2:  # noqa: PLR2004 - one site needs no merging
        return next(iter(proven), None)
    published, staged = (site.tree for site in proven)
    added = {
        path: staged.read(path)
        for path, entry in staged.entries().items()
        if entry.kind is Kind.FILE and path not in published.entries()
    }
    return Site(overlay(published, added)) if added else proven[0]


def _require_sound(publication: Publication) -> None:
    findings = errors(verify_published(publication))
    if findings:
        raise invalid(findings, publication.site.tree.name)


def releases_base(context: Context, policy: Policy) -> str:
    """What is put in front of the paths of archives in releases of the code host; empty if there are none.

    Args:
        context: Where.
        policy: The policy.
    """
    if policy.hosting.source != "releases":
        return ""
    address = normalise_url(context.forge.url)
    return releases.base(f"https://{address[len('ssh://') :]}" if address.startswith("ssh://") else address)


def _staged(context: Context, commit: str, policy: Policy) -> Publication:
    """What a commit of ``keyturn/staged`` holds, verified from the pinned root."""
    _require_staged(context, commit)
    digest = pinned_digest(context.remembered, context.root_digest)
    if digest is None:
        raise RefusedError(
            "no root digest is pinned for this repository on this machine",
            where=context.forge.url,
            todo="Get the root digest from a founder, not from the repository, and give it with "
            "--root-digest.",
            reason="no-pin",
        )
    publication = _publication(context.forge.tree(commit), digest, context, releases_base(context, policy))
    _require_sound(publication)
    return publication


def _require_staged(context: Context, commit: str) -> None:
    if not context.forge.contains(STAGED, commit):
        raise RefusedError(
            f"is not a commit of {STAGED}",
            where=commit,
            todo="Only what was staged is published; run the publication again from its start.",
            reason="not-staged",
        )


def _require_of_main(staged: Publication, main: State) -> None:
    """Refuse what people signed, but did not merge; what they merged since then comes with the next run."""
    files = [(file, main.roots.get(version)) for version, file in staged.site.roots.items()]
    for name in staged.targets_names:
        file, ours = staged.role(name), main.role(name)
        if file is not None and ours is not None and ours.version <= file.version:
            files.append((file, ours))
    for file, ours in files:
        if ours is None or (ours.version, ours.digest) != (file.version, file.digest):
            raise RefusedError(
                f"{file.role} {file.version} is staged, but is not what main says",
                where=file.path,
                todo="Find out how main went back, or who staged this; then publish again from main.",
                reason="not-on-main",
            )


def _require_forward(staged: Publication, published: Publication) -> None:
    """Refuse to go back behind what is published, as far as clients would refuse it.

    What only a changed online key vouches for does not count: clients forget it with the key.
    """
    pairs = [
        (_timestamp_of(staged), published.site.timestamp),
        (staged.snapshot, published.snapshot),
    ]
    for ours, theirs in pairs:
        if ours is None or theirs is None or not _counts(staged, theirs):
            continue
        if ours.version < theirs.version:
            raise Overtaken(
                f"{theirs.role} {theirs.version} is published already, this is {ours.version}",
                where=ours.path,
                todo="Run the publication again from its start; it takes up what is there.",
            )
        if ours.version == theirs.version and ours.data != theirs.data:
            raise RefusedError(
                f"{ours.role} {ours.version} is published already, with other content",
                where=ours.path,
                todo="Run the publication again from its start: it takes the next number.",
                reason="two-contents",
            )


def _counts(staged: Publication, file: RoleFile) -> bool:
    delegation = staged.delegation(file.role)
    return delegation is not None and count(delegation, file, delegation.delegator.role).met


def _timestamp_of(publication: Publication) -> RoleFile:
    timestamp = publication.site.timestamp
    if timestamp is None:
        raise RefusedError("there is no timestamp", where=SITE_MARK, reason="invalid")
    return timestamp


def _publication(tree: Tree, digest: str, context: Context, archives: str) -> Publication:
    return Publication(site=Site(tree), now=context.now, pinned=digest, releases=archives)


def _message(signed: tuple[str, ...], timestamp: int) -> str:
    what = f"Sign {' and '.join(signed)}" if signed else "Publish"
    return f"{what} (timestamp {timestamp})"
