"""The trial: a stock client goes from what is published to what would be, and from root 1 alone."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keyturn.errors import EnvironmentFault, RefusedError
from keyturn.state import Site, State
from keyturn.tree import MemoryTree, Tree
from keyturn.trial import serve_directory, stock_client, update_between
from keyturn.trial.stock_client import StockClient
from keyturn.verify import Publication
from unit.repository import (
    DAY,
    NOW,
    Draft,
    Published,
    document,
    release,
    released,
    rendered,
    rotated,
    sign_file,
    target,
)

ROOT = released().base.tree.read("metadata/root_history/1.root.json")


def step() -> tuple[Published, Published]:
    """A site, and the one after it: another root, another release, another plugin."""
    draft = Draft(rotated().files)
    release(draft, "2.0")
    draft.list_target("plugins", "plugins/more.zip", b"more\n")
    draft.remove_key("root", "root", "dave")
    return Published(released().state), Published(draft.sign().state, version=2)


def attempt(previous: Tree | None, built: Tree, *, root: bytes = ROOT) -> int:
    return update_between(previous, built, root=root, now=NOW)


def refusal(previous: Tree | None, built: Tree) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        attempt(previous, built)
    assert caught.value.reason == "trial"
    return caught.value


def test_a_first_site_is_updated_to_from_root_1_alone() -> None:
    assert attempt(None, Published(released().state).tree) == 2


def test_a_good_step_is_taken_from_both_ends() -> None:
    before, after = step()

    assert attempt(before.tree, after.tree) == 4


def test_the_same_site_again_is_no_problem() -> None:
    site = Published(released().state)

    assert attempt(site.tree, site.tree) == 2


def test_a_site_that_was_frozen_is_no_hindrance_for_the_next() -> None:
    before, after = step()
    frozen = Published(before.state, now=NOW - 300 * DAY)

    assert attempt(frozen.tree, after.tree) == 4


def test_a_snapshot_that_misses_a_role_is_refused_from_root_1() -> None:
    _, after = step()
    after.seal(snapshot=lambda signed: signed["meta"].pop("plugins.json"))
    error = refusal(None, after.tree)

    assert "with root 1 alone" in error.what
    assert "plugins was delegated but is not part of snapshot" in error.what


def test_a_snapshot_that_drops_a_role_is_refused_from_what_is_published() -> None:
    before, _ = step()
    draft = released()
    with draft.edit("targets") as signed:
        del signed["delegations"], signed["x-keyturn"]
    after = Published(draft.sign().state, version=2)
    after.roles.pop("plugins", None)
    error = refusal(before.tree, after.seal().tree)

    assert "coming from the published state" in error.what
    assert "missing info for 'plugins.json'" in error.what


def test_a_role_that_lists_nothing_is_visited_all_the_same() -> None:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*.?"])
    draft.add_role("themes")
    site = Published(draft.sign().state)
    site.edit_role("themes", lambda signed: signed, without=("dave",))
    error = refusal(None, site.seal().tree)

    assert "themes was signed by 0/1 keys" in error.what


def test_a_version_that_went_back_is_refused_from_what_is_published() -> None:
    before, after = step()
    error = refusal(after.tree, before.seal().tree)

    assert "coming from the published state" in error.what


def _without(site: Published, ending: str) -> Tree:
    path = next(path for path in site.files if path.endswith(ending))
    del site.files[path]
    return site.tree


@pytest.mark.parametrize(
    "ending", ["demo-1.0.tar.gz", "spell.zip", "2.root.json", "timestamp.json", "2.targets.json"]
)
def test_a_site_that_lacks_a_file_is_refused(ending: str) -> None:
    assert refusal(None, _without(Published(_with_three_roots()), ending)).what


def _with_three_roots() -> State:
    draft = rotated()
    draft.remove_key("root", "root", "dave")
    return draft.sign().state


def test_a_target_with_other_bytes_is_refused() -> None:
    site = Published(released().state)
    path = next(path for path in site.files if path.endswith("demo-1.0.tar.gz"))
    site.files[path] = b"x" * len(site.files[path])

    assert "does not match" in refusal(None, site.tree).what


def test_an_expired_site_is_refused_by_the_clock_that_is_given() -> None:
    site = Published(released().state)
    with pytest.raises(RefusedError, match=r"timestamp\.json is expired"):
        update_between(None, site.tree, root=ROOT, now=NOW + 3 * DAY)

    assert update_between(None, site.tree, root=ROOT, now=NOW + 3 * DAY - DAY / 86400) == 2


def test_a_site_without_consistent_snapshots_is_refused() -> None:
    draft = released()
    with draft.edit("root") as signed:
        signed["consistent_snapshot"] = False

    assert refusal(None, Published(draft.sign().state).tree).what


def test_another_root_1_is_refused() -> None:
    draft = Draft(released().files)
    with draft.edit("root", bump=False) as signed:
        signed["roles"]["timestamp"]["threshold"] = 2
    other = draft.sign().files["metadata/root.json"]
    with pytest.raises(RefusedError, match="with root 1 alone"):
        attempt(None, Published(released().state).tree, root=other)


def test_a_target_that_a_terminating_role_hides_is_left_out() -> None:
    draft = released()
    draft.delegate("hidden", "dave", paths=["plugins/*.zip"])
    draft.add_role("hidden")
    with draft.edit("hidden") as signed:
        signed["targets"] = {"plugins/lost.zip": target(b"lost\n")}
    draft.files["targets/plugins/lost.zip"] = b"lost\n"

    assert attempt(None, Published(draft.sign().state).tree) == 2


def held_by(cache: Path, site: Tree) -> None:
    """Lay down what a client holds that updated from a site."""
    client = StockClient(cache, ROOT, NOW, "in a test")
    client.hold(Publication(site=Site(site), now=NOW, pinned=""))


def test_a_hostile_name_of_a_role_stays_inside_of_what_a_client_holds(tmp_path: Path) -> None:
    """The published state is a cache that others may have written to."""
    site = Published(released().state)
    name = "../escaped"
    role = rendered(
        {
            "signed": {
                "_type": "targets",
                "spec_version": "1.0.31",
                "version": 1,
                "expires": "2027-01-01T00:00:00Z",
                "targets": {},
            },
            "signatures": [],
        }
    )
    listing = document(site.roles["targets"])["signed"]
    listing["delegations"]["roles"][0]["name"] = name
    site.roles["targets"] = sign_file(rendered({"signed": listing, "signatures": []}), {})
    del site.roles["plugins"]
    site.roles[name] = role
    site.seal()
    assert "metadata/1.../escaped.json" in site.files

    held_by(tmp_path / "held", site.tree)

    assert [path.name for path in tmp_path.iterdir()] == ["held"]
    assert (tmp_path / "held" / "..%2Fescaped.json").read_bytes() == role


def test_nothing_is_held_from_a_site_without_metadata(tmp_path: Path) -> None:
    held_by(tmp_path / "held", MemoryTree({}))

    assert [path.name for path in (tmp_path / "held").rglob("*")] == ["root_history"]


def test_a_client_that_keeps_its_clock_elsewhere_is_noticed() -> None:
    stranger: Any = SimpleNamespace(_trusted_set=SimpleNamespace(reference_time=None))

    with pytest.raises(TypeError, match="keeps its reference time elsewhere"):
        stock_client._set_clock(stranger, NOW)


def test_a_disk_that_is_in_the_way_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stock_client.StockClient, "_check_arrival", full)
    with pytest.raises(EnvironmentFault, match="the trial cannot write its files: No space left on device"):
        attempt(None, Published(released().state).tree)


def test_a_directory_is_served_on_loopback_while_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with serve_directory(tmp_path) as url:
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url + "file") as answer:
            assert answer.read() == b"content"

    with pytest.raises(OSError, match=r"."):
        urllib.request.urlopen(url + "file", timeout=1)
