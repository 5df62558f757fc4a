"""A repository's roles, read from a tree: what the metadata says, before anything is verified."""

from __future__ import annotations

from keyturn.state.digests import (
    canonical,
    fingerprint,
    payload_digest,
    sha256_hex,
    short_fingerprint,
    spec_keyid,
)
from keyturn.state.extension import ONLINE, Extension, Owner
from keyturn.state.metadata_file import MetadataError, RoleFile, render_metadata
from keyturn.state.repository import (
    HISTORY,
    METADATA,
    ONLINE_ROLES,
    ROLE_NAME,
    Delegation,
    Problem,
    State,
    delegations_of,
    keys_of,
    root_of,
    targets_of,
)
from keyturn.state.site import Site
from keyturn.state.target_search import search

__all__ = [
    "HISTORY",
    "METADATA",
    "ONLINE",
    "ONLINE_ROLES",
    "ROLE_NAME",
    "Delegation",
    "Extension",
    "MetadataError",
    "Owner",
    "Problem",
    "RoleFile",
    "Site",
    "State",
    "canonical",
    "delegations_of",
    "fingerprint",
    "keys_of",
    "payload_digest",
    "render_metadata",
    "root_of",
    "search",
    "sha256_hex",
    "short_fingerprint",
    "spec_keyid",
    "targets_of",
]
