"""Signers by URI, the signature block, attaching signatures, and the signer's own memory.

Nothing here decides trust: which keys may sign what is read from verified metadata by the caller, and comes
in as arguments.
"""

from __future__ import annotations

from keyturn.signing.attach import attach
from keyturn.signing.block import BlockError, SignatureBlock, find_blocks, render, sign_payload
from keyturn.signing.config import Config
from keyturn.signing.keyring import Member, possession_bytes, prove, read_member
from keyturn.signing.keys import (
    KeySigner,
    NewKey,
    PublicKey,
    load_signer,
    new_key,
    parse_public,
    public_pem,
    write_key_file,
)
from keyturn.signing.ledger import DESPITE, LedgerEntry, Pin, PinnedRemote, SignerHome
from keyturn.signing.remote_url import normalise_url, same_repository

__all__ = [
    "DESPITE",
    "BlockError",
    "Config",
    "KeySigner",
    "LedgerEntry",
    "Member",
    "NewKey",
    "Pin",
    "PinnedRemote",
    "PublicKey",
    "SignatureBlock",
    "SignerHome",
    "attach",
    "find_blocks",
    "load_signer",
    "new_key",
    "normalise_url",
    "parse_public",
    "possession_bytes",
    "prove",
    "public_pem",
    "read_member",
    "render",
    "same_repository",
    "sign_payload",
    "write_key_file",
]
