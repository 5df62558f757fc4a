"""Hypothesis profiles: HYPOTHESIS_PROFILE chooses; `ci` where CI is set, else `local`."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline anywhere: two busy cores make honest tests slow now and then.
settings.register_profile("local", max_examples=50, deadline=None)
# The same examples on each run: what continuous integration finds can be found again.
settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("thorough", max_examples=2000, deadline=None)

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "local"))
