"""Files that a person names on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyturn.cli.files import read_file, require_absent, write_new_file
from keyturn.errors import EnvironmentFault, UsageError


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"1234")
    assert read_file(tmp_path / "f", 4) == b"1234"
    with pytest.raises(UsageError) as refused:
        read_file(tmp_path / "f", 3)
    assert refused.value.reason == "too-large"


@pytest.mark.parametrize("name", ["nothing", "."])
def test_what_is_no_file_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_file(tmp_path / name, 10)
    assert refused.value.reason == "no-file"


def test_what_the_system_does_not_let_happen_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(EnvironmentFault, match="cannot be read"):
        read_file(tmp_path / "f" / "below", 10)
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        write_new_file(tmp_path / "no" / "f", "text")


def test_a_file_is_written_once(tmp_path: Path) -> None:
    write_new_file(tmp_path / "f", "first")
    with pytest.raises(UsageError):
        write_new_file(tmp_path / "f", "second")
    assert (tmp_path / "f").read_text() == "first"


def test_a_link_to_nowhere_is_something_too(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError):
        require_absent(tmp_path / "link")
