"""Adding one signature to a role's metadata file: pure, and strict about what it adds."""

from __future__ import annotations

from collections.abc import Mapping

from securesystemslib.signer import Key, Signature

from keyturn.errors import NothingToDo, RefusedError
from keyturn.signing.block import SignatureBlock
from keyturn.state import RoleFile, render_metadata
from keyturn.verify import signature_valid


def attach(metadata_bytes: bytes, block: SignatureBlock, *, candidates: Mapping[str, Key]) -> bytes:
    """Add the signature of a block to a role file.

    The signed part keeps its meaning, the other signatures stay as they are. ``block.repository`` only
    routes and is not looked at: the payload digest is what binds.

    Args:
        metadata_bytes: The role file.
        block: The signature, and which payload and key it belongs to.
        candidates: Keys that may sign this role, by the keyid that the delegating role gives them; for a root
            those of the old and of the new one.

    Returns:
        The role file with one more signature (SPEC: Metadata files).

    Raises:
        RefusedError: Reason ``other-payload``: made over other bytes than these; ``foreign-key``: not by a
            candidate; ``bad-signature``: does not verify. The file is not metadata: ``bad-metadata``.
        NothingToDo: A valid signature of this key is there already (reason ``already-signed``).
    """
    where = block.role if block.version is None else f"{block.role} {block.version}"
    role_file = RoleFile.parse(block.role, block.role, metadata_bytes)
    if block.version != role_file.version or block.payload_sha256 != role_file.digest:
        raise RefusedError(
            f"the signature is over another payload ({block.payload_sha256[:8]}...) than the one proposed, "
            f"version {role_file.version} ({role_file.digest[:8]}...)",
            where=where,
            todo="Look at what is proposed now, and sign that if you agree.",
            reason="other-payload",
        )
    key = candidates.get(block.keyid)
    if key is None:
        raise RefusedError(
            f"the key {block.keyid[:8]}... may not sign this role", where=where, reason="foreign-key"
        )
    signature = Signature(block.keyid, block.signature.hex())
    if not signature_valid(key, signature, role_file.payload):
        raise RefusedError(
            f"the signature by the key {block.keyid[:8]}... does not verify",
            where=where,
            reason="bad-signature",
        )
    held = role_file.signatures.get(block.keyid)
    # An invalid signature under this keyid is replaced: else anybody could keep its owner out by writing one.
    if held is not None and signature_valid(key, held, role_file.payload):
        raise NothingToDo(
            f"the key {block.keyid[:8]}... has signed this already", where=where, reason="already-signed"
        )
    role_file.metadata.signatures[block.keyid] = signature
    return render_metadata(role_file.metadata)
