"""An emulation of GitHub for tests: real git repositories, and around them the API that Keyturn calls.

:class:`LabForge` is the way in::

    with LabForge(tmp_path) as forge:
        alice = forge.user("alice")
        forge.create_repository("alice", "updates", files={"README.md": b"hello"})
        Github(base_url=forge.api, auth=Auth.Token(alice))  # PyGithub
        # git clone {forge.url}/alice/updates.git

What lies where: ``model`` and ``settings`` are the state, ``people`` the accounts and tokens, ``store`` one
bare repository, ``wire`` requests and routes, ``access`` who may do what, ``rules`` what a branch demands,
``pulls`` how pull requests follow their branches, ``rest_*`` the routes by area, ``views`` the JSON,
``notices`` the events, ``smart_git`` clone and push, ``contract`` the check of every answer against GitHub's
own description, ``faults`` what can go wrong on order.
"""

from __future__ import annotations

from lab.forge.events import Event, Handled
from lab.forge.faults import Fault
from lab.forge.forge import LabForge
from lab.forge.model import Repository, Token

__all__ = ["Event", "Fault", "Handled", "LabForge", "Repository", "Token"]
