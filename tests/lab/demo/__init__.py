"""What `make demo` shows: the life of an update repository on the lab's GitHub, with the real workflows.

Nothing here signs or decides. People are processes of the installed `keyturn` with homes of their own, or
press a button of GitHub's page, which is a request with their own token. Everything else is done by the
workflow files and actions of this very checkout, which `keyturn init` puts into the repository.

`story` says who does what next, `scene` is everything on disk, `github` what people and workflows do there,
and `forgery` the one attack that only GitHub knows. `keyturn demo` starts it (:mod:`keyturn.demo.lab`).
"""

from __future__ import annotations

from lab.demo.story import lacking, run

__all__ = ["lacking", "run"]
