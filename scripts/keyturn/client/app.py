"""An app's view of its updates: check, install, launch, confirm, roll back.

``Client`` puts the strict half (`keyturn.client.trust`), the choice among releases
(`keyturn.client.releases`) and the directory (`keyturn.client.store`) together; it holds no rule of its own
about any of them. tuf is imported when it is first needed: an app that is only launched or confirmed, at
each of its starts, does not wait for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from keyturn.client import unpack
from keyturn.client.errors import (
    NoPreviousError,
    NoReleaseError,
    NotInstalledError,
    RollbackError,
    TreeMismatchError,
    disk_faults,
)
from keyturn.client.releases import Update, newest, parse_version, release
from keyturn.client.report import CheckResult, Held, Launched, Progress, Stale
from keyturn.client.start import APP_DIR, APP_VERSION, STORE, command_line, start
from keyturn.client.store import Installed, Store
from keyturn.errors import UsageError

if TYPE_CHECKING:
    from tuf.ngclient import FetcherInterface

    from keyturn.client.trust import Trust

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_STALE_FOR_TOO_LONG = timedelta(hours=1)


class Client:
    """Keeps one app up to date in one directory.

    Every method locks the directory and may be called again after it failed, or was killed, at any point.
    ngclient reads the time of day from the system, so this class does too.

    Args:
        root: The root metadata that the app came with: the first, or any later one, never fetched.
        url: The site's root; metadata lies in ``metadata/`` below it, archives in ``targets/``.
        app: The app's name in the signed metadata.
        directory: The app's own directory for this, made if it is not there; nothing else may write to it.
        platform: Name of the platform, as the signers use it. Empty: only releases for all platforms.
        releases: Where the archives are that a code host keeps in its releases, e.g.
            ``https://github.com/acme/updates/releases/download/``. Empty: everything is on the site.
        fetcher: What reads from the network, see :class:`keyturn.client.trust.Trust`.
        environment: Environment of this process, the base of what a launched app gets; the real one by
            default.

    Raises:
        UsageError: ``app`` or ``platform`` is no name.
    """

    def __init__(
        self,
        root: bytes,
        url: str,
        app: str,
        directory: Path,
        *,
        platform: str = "",
        releases: str = "",
        fetcher: FetcherInterface | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if not _NAME.fullmatch(app) or (platform and not _NAME.fullmatch(platform)):
            raise UsageError(
                "an app's or platform's name is 1 to 64 letters, digits, dots, underscores and dashes",
                where=f"{app} {platform}".strip(),
            )
        self._root = root
        self._url = url if url.endswith("/") else f"{url}/"
        self._app = app
        self._platform = platform
        self._releases = releases if not releases or releases.endswith("/") else f"{releases}/"
        self._fetcher = fetcher
        self._environment = dict(os.environ if environment is None else environment)
        self._store = Store(Path(directory).absolute())

    def refresh(self) -> Held:
        """Bring the metadata up to date, strictly as TUF has it: an older timestamp is an error.

        Returns:
            What is held now.

        Raises:
            UpdateRefused: What the server offers does not verify; what is held stays as it is.
            UpdateFault: The server or the store cannot be used.
        """
        with self._store.locked():
            return self._trust(None).refresh()

    def check(self) -> CheckResult:
        """See what is new (DESIGN section 5).

        One thing is tolerated that :meth:`refresh` is not: a validly signed timestamp that is older than a
        held one which verifies under the current root and has not expired. The held state is used then, and
        the result says so.

        Returns:
            What was found.

        Raises:
            NoReleaseError: Nothing is installed and nothing offered: most often a misspelt app or platform.
            UpdateRefused: What the server offers does not verify.
            UpdateFault: The server or the store cannot be used.
        """
        with self._store.locked():
            trust, held, stale = self._refreshed()
            installed = self._store.load()
            found = self._newest(trust, installed)
            if found is None and installed.current is None:
                suffix = f" on {self._platform}" if self._platform else ""
                raise NoReleaseError(f"no release of {self._app}{suffix} is offered", where=self._url)
            return CheckResult(installed.current, found, stale, held)

    def install(self, update: Update, progress: Progress | None = None) -> None:
        """Download, verify and install a release that :meth:`check` offered, and make it the current one.

        It is pending from then on: :meth:`launch` starts it, and it has to :meth:`confirm` that it works.
        The last confirmed version is kept. Installing what is current already does nothing.

        Args:
            update: What to install. It is looked up in the signed metadata again: minutes or days may have
                passed.
            progress: Called with bytes received and bytes in all, of the download.

        Raises:
            NoReleaseError: The release is not signed any more, or was refused.
            RollbackError: A higher version is installed by now.
            HashMismatchError: The server sent something else than was signed.
            UnsafeArchiveError: The archive holds something that is never unpacked.
            TreeMismatchError: What the archive holds is not what was signed.
            UpdateRefused: What the server offers does not verify.
            UpdateFault: The server or the store cannot be used.
        """
        with self._store.locked():
            installed = self._store.load()
            if not self._is_current(update, installed):
                self._install(update, installed, progress)

    def launch(self, arguments: Sequence[str] = (), command: Sequence[str] | None = None) -> Launched:
        """Start the current version.

        A pending one is started once. If it is launched again without having confirmed, it has failed: the
        previous version is current again and is started, and the failed one is never offered again. Without
        a previous version there is nothing to go back to; that is an error until a newer version is
        installed or :meth:`confirm` says that it works after all.

        The process gets ``KEYTURN_APP_VERSION``, ``KEYTURN_APP_DIR`` (the version's directory) and
        ``KEYTURN_STORE`` (the client's directory) in its environment.

        Args:
            arguments: The app's arguments.
            command: What to run instead of the executable named like the app at the bundle's top level, or
                the only executable there. A first word that names a file in the bundle means that file.

        Returns:
            The process and its version.

        Raises:
            NotInstalledError: There is nothing to start.
            NoPreviousError: The first version ever installed was started and did not confirm.
            NotStartedError: There is no such program, or the system cannot run it. For a pending version
                that counts as a start.
            UpdateFault: The store cannot be used.
        """
        with self._store.locked():
            before = self._store.load()
            self._require_current(before)
            failed = before.pending if before.starts else None
            installed = (self._without_failed(before) if failed else before).with_start()
            if installed != before:
                self._store.save(installed)
            version = self._require_current(installed)
        # The lock is free again: the app may confirm before this process gets any further.
        directory = self._store.version_directory(version)
        with disk_faults(directory):
            line = command_line(directory, self._app, command, arguments)
        told = {APP_VERSION: version, APP_DIR: str(directory), STORE: str(self._store.directory)}
        return Launched(version, start(line, {**self._environment, **told}), failed)

    def confirm(self, version: str | None = None) -> bool:
        """Say that the running version works; an app calls this once it is up.

        Args:
            version: The running version. By default the one that :meth:`launch` told this process, and if
                it was not started by launch, the pending one, provided that it was launched.

        Returns:
            True if a pending version is confirmed by this; False if there was nothing to confirm, or the
            version has been given up meanwhile.

        Raises:
            UpdateFault: The store cannot be used.
        """
        with self._store.locked():
            installed = self._store.load()
            running = version or self._told_version()
            launched = installed.pending if installed.starts else None
            same = launched if running is None else installed.pending
            if same is None or (running is not None and parse_version(running) != parse_version(same)):
                return False
            self._store.save(installed.with_confirmation())
            return True

    def rollback(self) -> str:
        """Go back to the previous version; the current one is not offered again.

        Returns:
            The version that is current now.

        Raises:
            NoPreviousError: None is kept.
            UpdateFault: The store cannot be used.
        """
        with self._store.locked():
            installed = self._store.load()
            if not self._store.has(installed.previous):
                raise NoPreviousError(
                    "there is no previous version to go back to", where=str(self._store.directory), todo=""
                )
            installed = installed.gone_back()
            self._store.save(installed)
            return self._require_current(installed)

    def installed(self) -> Installed:
        """What is installed, without a look at the network.

        Returns:
            Current, previous, pending and refused versions.

        Raises:
            DiskError: The store cannot be read.
        """
        return self._store.load()

    def _told_version(self) -> str | None:
        # Another app that is kept up to date like this may have started this process.
        ours = self._environment.get(STORE) == str(self._store.directory)
        return self._environment.get(APP_VERSION) if ours else None

    def _trust(self, fetcher: FetcherInterface | None) -> Trust:
        from keyturn.client.trust import Trust  # noqa: PLC0415 (a third of a second that a launch need not pay)

        metadata, targets = f"{self._url}metadata/", f"{self._url}targets/"
        return Trust(self._store.trust, metadata, targets, root=self._root, fetcher=fetcher or self._fetcher)

    def _refreshed(self) -> tuple[Trust, Held, Stale | None]:
        from keyturn.client.fetch import Tolerant  # noqa: PLC0415

        timestamp = f"{self._url}metadata/timestamp.json"
        tolerant = Tolerant(self._fetcher, timestamp_url=timestamp, trust=self._store.trust)
        trust = self._trust(tolerant)
        held = trust.refresh()
        return trust, held, self._note_stale(tolerant.ignored)

    def _note_stale(self, ignored: tuple[int, int] | None) -> Stale | None:
        installed = self._store.load()
        now = datetime.now(timezone.utc)
        since = min(installed.stale_since or now, now) if ignored else None
        if since != installed.stale_since:
            self._store.save(replace(installed, stale_since=since))
        if ignored is None or since is None:
            return None
        return Stale(*ignored, since=since, warn=now - since > _STALE_FOR_TOO_LONG)

    def _newest(self, trust: Trust, installed: Installed) -> Update | None:
        signed = [update for target in trust.listed() if (update := release(target))]
        above, refused = installed.current, installed.refused
        return newest(signed, app=self._app, platform=self._platform, above=above, refused=refused)

    def _is_current(self, update: Update, installed: Installed) -> bool:
        ours = parse_version(installed.current) if installed.current else None
        theirs = parse_version(update.version)
        if ours is None or theirs is None:
            return False
        if theirs < ours:
            what = f"version {installed.current} is installed, {update.version} is older"
            raise RollbackError(what, where=update.path, todo="")
        return theirs == ours

    def _install(self, update: Update, installed: Installed, progress: Progress | None) -> None:
        if parse_version(update.version) in map(parse_version, installed.refused):
            what = f"version {update.version} was refused on this computer"
            raise NoReleaseError(what, where=update.path, todo="wait for a newer version")
        trust, _, _ = self._refreshed()
        target = trust.get_target(update.path)
        if target is None or release(target) != update:
            raise NoReleaseError(
                f"version {update.version} is not signed any more", where=update.path, todo="check again"
            )
        archive = self._store.download(update.sha256)
        base = self._releases if self._releases and update.tagged else None
        trust.download(target, archive, progress, base=base)
        fresh = self._store.fresh(update.version)
        if unpack.read(archive, fresh).digest != update.tree:
            raise TreeMismatchError("what the archive holds is not what was signed", where=update.path)
        self._store.adopt(fresh, update.version)
        after = self._store.load().with_new(update.version)
        self._store.save(after)
        archive.unlink()
        # The version that was current may be the one that is running this.
        self._store.prune(keep={after.current, after.previous, installed.current})

    def _without_failed(self, installed: Installed) -> Installed:
        if self._store.has(installed.previous):
            return installed.gone_back()
        self._store.save(installed.with_refusal())
        raise NoPreviousError(
            f"version {installed.current} did not confirm that it works, and there is none to go back to",
            where=str(self._store.directory),
            todo="install a newer version, or confirm this one if it does work",
        )

    def _require_current(self, installed: Installed) -> str:
        if installed.current is None:
            raise NotInstalledError(
                "nothing is installed yet", where=str(self._store.directory), todo="install first"
            )
        return installed.current
