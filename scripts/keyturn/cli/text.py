"""Untrusted text for a terminal; the same rules as for every other place where people read."""

from __future__ import annotations

from keyturn.flow.visible import escape

__all__ = ["escape"]
