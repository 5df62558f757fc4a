"""What an app embeds to update itself: check, download, verify, install, launch, roll back.

>>> client = Client(root=ROOT, url="https://alice.github.io/acme-updates/", app="acme", directory=HOME)
>>> found = client.check()
>>> if found.newest:
...     client.install(found.newest)
>>> client.launch().process.wait()

The app itself calls :meth:`Client.confirm` once it is up. Errors are in :mod:`keyturn.client.errors`; a TUF
client without any of this is :class:`keyturn.client.trust.Trust`.
"""

from __future__ import annotations

from keyturn.client import errors
from keyturn.client.app import Client
from keyturn.client.releases import Update
from keyturn.client.report import CheckResult, Held, Launched, Progress, Stale
from keyturn.client.store import Installed

__all__ = ["CheckResult", "Client", "Held", "Installed", "Launched", "Progress", "Stale", "Update", "errors"]
