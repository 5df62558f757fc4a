"""The next unsigned metadata: pure functions from what is and what is wanted to files (DESIGN section 4).

Every function returns *edits*: the bytes of each metadata file that changes, by path. The same input
gives the same bytes; the time is an argument. Nothing here signs. Where an event proposes the same
content already, its file is given back as it stands: moving an expiry by some minutes is no reason to
void signatures.
"""

from __future__ import annotations

from keyturn.propose.drafting import Edits
from keyturn.propose.renewal import Renewal, due, renew
from keyturn.propose.targets import Earlier, Release, files, release
from keyturn.propose.wish import Anew, PolicyChange, change, founding, known_ids

__all__ = [
    "Anew",
    "Earlier",
    "Edits",
    "PolicyChange",
    "Release",
    "Renewal",
    "change",
    "due",
    "files",
    "founding",
    "known_ids",
    "release",
    "renew",
]
