"""The signature block: one signature as a few lines of text (SPEC: Signature block).

It travels in a pull request's review, in a file on a memory stick, or as ``keyring/<login>.proof``. What is
signed is the payload alone; the lines around the signature say which payload, by which key, and where it
belongs. There is exactly one way to write a given block, so reading is strict: the same lines in the same
order, no escapes, no options. ``docs/signature-block.md`` is the whole format with its vectors.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from keyturn.errors import RefusedError
from keyturn.signing.keys import KeySigner
from keyturn.state import ROLE_NAME, payload_digest

BEGIN = "-----BEGIN KEYTURN SIGNATURE-----"
END = "-----END KEYTURN SIGNATURE-----"
FORMAT = "1"
MAX_BLOCK_BYTES = 16 * 1024
KEYRING = "keyring"
"""The role name of a proof of possession, which has no version and belongs to no root yet."""
NO_ROOT = "0" * 64
"""What a proof of possession has as its repository: it is bound by the repository's name instead."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PATTERNS = {
    "format": re.compile(r"1"),
    "repository": _DIGEST,
    "role": ROLE_NAME,
    "version": re.compile(r"[1-9][0-9]{0,14}"),
    "payload-sha256": _DIGEST,
    "keyid": _DIGEST,
    "signature": re.compile(r"[A-Za-z0-9+/]+={0,2}"),
}
_ROLE_LINES = tuple(_PATTERNS)
_KEYRING_LINES = tuple(name for name in _PATTERNS if name != "version")


class BlockError(RefusedError):
    """A signature block is malformed, or stands twice in one text."""

    default_reason = "bad-block"


@dataclass(frozen=True, slots=True)
class SignatureBlock:
    """One signature and what it belongs to; a block that exists is well formed, not yet verified.

    Args:
        repository: Root digest, 64 lower-case hexadecimal digits; only routes, is not signed. ``NO_ROOT``
            in a proof of possession.
        role: Role name; ``keyring`` for a proof of possession.
        version: Version of the role's metadata; None in a proof of possession, and only there.
        payload_sha256: SHA-256 of the signed bytes, 64 lower-case hexadecimal digits.
        keyid: Keyid of the key, 64 lower-case hexadecimal digits.
        signature: The raw signature.

    Raises:
        BlockError: A value has not the form that its line needs.
    """

    repository: str
    role: str
    version: int | None
    payload_sha256: str
    keyid: str
    signature: bytes

    def __post_init__(self) -> None:
        for name, value in _values(self):
            if not _PATTERNS[name].fullmatch(value):
                raise BlockError(f"the value of {name!r} is not of its form")
        if (self.role == KEYRING) != (self.repository == NO_ROOT):
            raise BlockError(f"the repository {NO_ROOT[:4]}... and the role {KEYRING} stand only together")
        if (self.role == KEYRING) != (self.version is None):
            raise BlockError(f"every role has a version except {KEYRING}")
        if len(render(self)) > MAX_BLOCK_BYTES:
            raise BlockError(f"larger than {MAX_BLOCK_BYTES} bytes")


def sign_payload(
    signer: KeySigner, payload: bytes, *, repository: str, role: str, version: int | None
) -> SignatureBlock:
    """Sign a payload and say in a block what was signed.

    The signer's ledger is the caller's part: it is written before this is called.

    Args:
        signer: The private key.
        payload: The exact bytes to sign: canonical JSON of a role's signed part.
        repository: Root digest.
        role: Role name.
        version: Version of the payload.

    Raises:
        BlockError: Role, version or repository cannot stand in a block.
        RefusedError: The fresh signature does not verify.
    """
    signature = signer.sign(payload)
    return SignatureBlock(
        repository=repository,
        role=role,
        version=version,
        payload_sha256=payload_digest(payload),
        keyid=signature.keyid,
        signature=bytes.fromhex(signature.signature),
    )


def render(block: SignatureBlock) -> str:
    """The block as text: ASCII, one newline after each line, nothing around it."""
    return "".join(
        f"{line}\n" for line in (BEGIN, *(f"{name}: {value}" for name, value in _values(block)), END)
    )


def find_blocks(text: str | bytes) -> tuple[SignatureBlock, ...]:
    """All signature blocks of a text, in their order; the text around them is ignored.

    A block counts only where its lines stand at the left margin, be it in a Markdown fence or not: a quoted
    or indented one is text. CRLF and blanks at line ends are accepted.

    Args:
        text: A file, a review's body, a mail.

    Returns:
        The blocks, well formed, at most one for each pair of role and keyid. Nothing is verified.

    Raises:
        BlockError: A block is malformed, cut off, larger than 16 KiB, or there twice; ``where`` is its line.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    found: dict[tuple[str, str], SignatureBlock] = {}
    opened: int | None = None
    size = 0
    lines: list[str] = []
    for number, raw in enumerate(data.split(b"\n"), start=1):
        line = raw.rstrip(b" \t\r").decode("latin-1")
        if opened is None:
            if line == END:
                raise _at(number, "the end of a block whose beginning is missing or damaged")
            if line == BEGIN:
                opened, size, lines = number, len(raw) + 1, []
            continue
        size += len(raw) + 1
        if size > MAX_BLOCK_BYTES:
            raise _at(opened, f"a block larger than {MAX_BLOCK_BYTES} bytes")
        if line != END:
            lines.append(line)
            continue
        block = _parse(lines, opened)
        if (block.role, block.keyid) in found:
            raise _at(opened, f"a second block of the key {block.keyid[:8]}... for the role {block.role}")
        found[block.role, block.keyid] = block
        opened = None
    if opened is not None:
        raise _at(opened, "a block without its end")
    return tuple(found.values())


def _values(block: SignatureBlock) -> tuple[tuple[str, str], ...]:
    """Names and values of the lines between the markers, in their order."""
    version = () if block.version is None else (("version", str(block.version)),)
    return (
        ("format", FORMAT),
        ("repository", block.repository),
        ("role", block.role),
        *version,
        ("payload-sha256", block.payload_sha256),
        ("keyid", block.keyid),
        ("signature", base64.b64encode(block.signature).decode("ascii")),
    )


def _parse(lines: list[str], opened: int) -> SignatureBlock:
    """A block from the lines between its markers; ``opened`` is the number of the line before them."""
    names = _KEYRING_LINES if f"role: {KEYRING}" in lines else _ROLE_LINES
    values: dict[str, str] = {}
    for number, (name, line) in enumerate(zip(names, lines, strict=False), start=opened + 1):
        if not line.startswith(f"{name}: "):
            raise _at(number, f"the line '{name}: ...' is expected here")
        value = line[len(name) + 2 :]
        if not _PATTERNS[name].fullmatch(value):
            raise _at(number, f"the value of '{name}' is not of its form")
        values[name] = value
    if len(lines) != len(names):
        more = len(lines) > len(names)
        raise _at(
            opened + 1 + min(len(lines), len(names)),
            "a line too many" if more else f"the line '{names[len(lines)]}: ...' is missing",
        )
    signature = _decoded(values["signature"], opened + len(lines))
    try:
        return SignatureBlock(
            repository=values["repository"],
            role=values["role"],
            version=int(values["version"]) if "version" in values else None,
            payload_sha256=values["payload-sha256"],
            keyid=values["keyid"],
            signature=signature,
        )
    except BlockError as error:
        raise _at(opened, error.what) from error


def _decoded(text: str, number: int) -> bytes:
    try:
        signature = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _at(number, "the value of 'signature' is not base64") from None
    # Bits that decoding drops would give one signature several spellings.
    if base64.b64encode(signature).decode("ascii") != text:
        raise _at(number, "the value of 'signature' is not the usual base64 of its bytes")
    return signature


def _at(number: int, what: str) -> BlockError:
    return BlockError(
        what, where=f"line {number}", todo="Copy the whole block as 'keyturn sign' wrote it, unchanged."
    )
