"""Proof of possession: nobody puts a key into the keyring that they do not hold (SPEC: Signature block).

``keyring/<login>.pub`` is the public key, ``keyring/<login>.proof`` a signature block with the role
``keyring`` over bytes that name the repository, the person and the key. Bound by the repository's name, which
never changes, since at founding there is no root digest yet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature, SSlibKey

from keyturn.errors import RefusedError, UsageError
from keyturn.signing.block import (
    KEYRING,
    NO_ROOT,
    BlockError,
    SignatureBlock,
    find_blocks,
    render,
    sign_payload,
)
from keyturn.signing.keys import KeySigner, parse_public
from keyturn.state import payload_digest

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,38}")
_KEYID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who has shown that they hold their key.

    Args:
        login: Login without ``@``, spelled as in the names of their files.
        key: Their public key, under the scheme and keyid that the proof was made with.
    """

    login: str
    key: SSlibKey


def possession_bytes(name: str, login: str, keyid: str) -> bytes:
    r"""The bytes that a proof of possession signs: ``keyturn-keyring-v1\n<name>\n<login>\n<keyid>\n``.

    Args:
        name: ``name`` of ``keyturn.yml``.
        login: Login without ``@``, spelled as in the name of the file.
        keyid: The key's specification keyid.

    Raises:
        UsageError: One of the three is not of its form; no newline can be smuggled in.
    """
    for what, value, pattern in (("name", name, _NAME), ("login", login, _LOGIN), ("keyid", keyid, _KEYID)):
        if not pattern.fullmatch(value):
            raise UsageError(f"{value!r} is not a {what}", reason=f"bad-{what}")
    return f"keyturn-keyring-v1\n{name}\n{login}\n{keyid}\n".encode("ascii")


def prove(signer: KeySigner, name: str, login: str) -> str:
    """Make the text of ``keyring/<login>.proof``.

    Raises:
        UsageError: Name or login is not of its form.
        RefusedError: The fresh signature does not verify.
    """
    payload = possession_bytes(name, login, signer.public.keyid)
    return render(sign_payload(signer, payload, repository=NO_ROOT, role=KEYRING, version=None))


def read_member(login: str, pub: bytes, proof: bytes, name: str) -> Member:
    """Read the two files of one member and verify that they belong together and to this repository.

    Args:
        login: Login, from the names of the files.
        pub: Bytes of ``keyring/<login>.pub``.
        proof: Bytes of ``keyring/<login>.proof``.
        name: ``name`` of ``keyturn.yml``.

    Raises:
        RefusedError: Reason ``bad-key`` or ``weak-key`` (``where`` is the ``.pub`` file) or ``bad-proof``
            (``where`` is the ``.proof`` file).
        UsageError: Name or login is not of its form.
    """
    public = parse_public(pub, where=f"keyring/{login}.pub")
    where = f"keyring/{login}.proof"
    block = _only_block(proof, where)
    key = public.with_keyid(block.keyid)
    if key is None:
        raise _bad_proof(f"is by the key {block.keyid[:8]}..., which is not the one in the .pub file", where)
    payload = possession_bytes(name, login, block.keyid)
    if block.payload_sha256 != payload_digest(payload):
        raise _bad_proof(f"was made for another name than {name!r} or another login than {login!r}", where)
    try:
        key.verify_signature(Signature(block.keyid, block.signature.hex()), payload)
    except UnverifiedSignatureError as error:
        raise _bad_proof("the signature does not verify with the key in the .pub file", where) from error
    return Member(login=login, key=key)


def _only_block(proof: bytes, where: str) -> SignatureBlock:
    try:
        blocks = find_blocks(proof)
    except BlockError as error:
        raise _bad_proof(f"{error.what} ({error.where})", where) from error
    if len(blocks) != 1 or blocks[0].role != KEYRING:
        raise _bad_proof("does not hold exactly one proof of possession", where)
    return blocks[0]


def _bad_proof(what: str, where: str) -> RefusedError:
    return RefusedError(
        what, where=where, todo="Its owner makes both files anew with 'keyturn join'.", reason="bad-proof"
    )
