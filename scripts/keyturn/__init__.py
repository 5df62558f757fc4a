"""Keyturn: a signing kit for TUF update repositories.

An app that updates itself uses :mod:`keyturn.client`; people use the ``keyturn`` command. Importing this
package loads nothing else.
"""

__version__ = "0.1.0"
