"""The committed files that come from tables in the code; `make docs` writes them anew.

A test fails while one of them differs from what its table makes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from keyturn.policy.page import page
from keyturn.policy.schema import FILE_NAME, schema_text
from keyturn.verify.page import page as rules_page

ROOT = Path(__file__).parents[1]
GENERATED: Mapping[str, Callable[[], str]] = {
    f"scripts/keyturn/policy/{FILE_NAME}": schema_text,
    "docs/policy.md": page,
    "docs/rules.md": rules_page,
}


def main() -> int:
    """Write every file that differs, and say which."""
    for name, made in GENERATED.items():
        path, text = ROOT / name, made()
        fresh = path.exists() and path.read_bytes() == text.encode()
        if not fresh:
            path.write_bytes(text.encode())
        print(f"  {name}: {'unchanged' if fresh else 'written'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
