"""``python -m keyturn``: the same as the ``keyturn`` command."""

from __future__ import annotations

import sys

from keyturn.cli import main

sys.exit(main())
