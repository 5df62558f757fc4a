"""Publishing main: signed online, tried by a client, written ahead, healed after a crash."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from tuf.ngclient import Updater

from integration.team import NOW, Team, days, with_proposal, with_release, with_site
from keyturn import trial
from keyturn.errors import RefusedError, UsageError
from keyturn.flow import publishing
from keyturn.flow.live import Served
from keyturn.forge import PUBLISHED, STAGED
from keyturn.git import Identity
from keyturn.state import Site
from keyturn.tree import DirectoryTree
from keyturn.trial import built_site
from keyturn.verify import Publication, verify_published

pytestmark = pytest.mark.slow


def findings(team: Team, site: Path) -> list[str]:
    publication = Publication(site=Site(DirectoryTree(site)), now=NOW, pinned=team.root_digest)
    return [finding.id for finding in verify_published(publication)]


def test_a_published_site_verifies_and_is_recorded(team: Team, tmp_path: Path) -> None:
    team.begin(with_release, "1.0")
    result = publishing.publish(team.publisher(), tmp_path / "site", [team.online])
    assert result.signed == (("snapshot", 1), ("timestamp", 1))
    assert findings(team, tmp_path / "site") == []
    forge = team.person("alice").context.forge
    forge.refresh()
    assert forge.branch_tip(STAGED) == forge.branch_tip(PUBLISHED)
    assert (tmp_path / "site/index.html").is_file()


def test_main_never_holds_online_metadata(team: Team, tmp_path: Path) -> None:
    team.begin(with_site)
    forge = team.person("alice").context.forge
    forge.refresh()
    paths = forge.tree(forge.main()).entries()
    assert not any("snapshot" in path or "timestamp" in path for path in paths)


def test_nothing_new_needs_no_key_and_signs_nothing(team: Team, tmp_path: Path) -> None:
    team.begin(with_site)
    again = publishing.publish(team.publisher(), tmp_path / "site", [])
    assert again.signed == ()
    assert not again.changed


def test_a_due_timestamp_is_renewed_alone(team: Team, tmp_path: Path) -> None:
    team.begin(with_site)
    later = publishing.publish(team.publisher(NOW + days(2.5)), tmp_path / "site", [team.online])
    assert later.signed == (("timestamp", 2),)


def test_without_a_key_what_is_due_is_said(team: Team, tmp_path: Path) -> None:
    team.found()
    with pytest.raises(UsageError, match="snapshot has to be signed"):
        publishing.publish(team.publisher(), tmp_path / "site", [])


def test_a_key_that_is_not_the_online_key_is_refused(team: Team, tmp_path: Path) -> None:
    team.found()
    with pytest.raises(RefusedError) as refusal:
        publishing.publish(team.publisher(), tmp_path / "site", [team.person("mallory").key])
    assert refusal.value.reason == "foreign-key"


def test_nothing_is_published_without_a_trusted_root(team: Team, tmp_path: Path) -> None:
    team.found()
    context = team.person("publisher").context
    with pytest.raises(RefusedError) as refusal:
        publishing.publish(context, tmp_path / "site", [team.online])
    assert refusal.value.reason == "no-pin"


def test_a_directory_that_is_no_site_is_left_alone(team: Team, tmp_path: Path) -> None:
    team.found()
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").write_text("dear")
    with pytest.raises(UsageError) as refusal:
        publishing.publish(team.publisher(), home, [team.online])
    assert refusal.value.reason == "not-a-site"
    assert (home / "letter.txt").read_text() == "dear"


def test_nothing_is_published_before_founding(team: Team, tmp_path: Path) -> None:
    team.init()
    context = replace(team.person("publisher").context, root_digest="0" * 64)
    with pytest.raises(UsageError, match="not founded"):
        publishing.publish(context, tmp_path / "site", [team.online])


def test_an_unsigned_merge_by_somebody_with_push_rights_is_not_published(team: Team, tmp_path: Path) -> None:
    """A forged green light: main holds what only one of two signed."""
    team.begin(with_proposal, "1.0")
    topic = "release-hello-1.0"
    team.person("alice").sign(topic)
    forge = team.person("alice").context.forge
    forge.refresh()
    forge.merge(topic, "looks fine", Identity("mallory", "m@example.org"), NOW)
    with pytest.raises(RefusedError, match="1 of 2 signatures"):
        publishing.publish(team.publisher(), tmp_path / "site", [team.online])
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("step", ["record", "write_directory", "forward"])
def test_a_publish_that_dies_is_healed_by_the_next(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    team.begin(with_release, "1.0")
    publisher = team.publisher()
    with monkeypatch.context() as crash:
        owner = publishing if step == "write_directory" else type(publisher.forge)
        crash.setattr(owner, step, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            publishing.publish(publisher, tmp_path / "site", [team.online])
    result = publishing.publish(publisher, tmp_path / "site", [team.online])
    assert findings(team, tmp_path / "site") == []
    assert result.timestamp == 1


def test_no_version_serves_two_contents_when_only_the_live_site_remembers(team: Team, tmp_path: Path) -> None:
    team.begin(with_site)
    live = Site(DirectoryTree(tmp_path / "site"))
    git = team.person("publisher").context.forge._git
    git.run("push", "--quiet", "origin", f":refs/heads/{STAGED}", f":refs/heads/{PUBLISHED}")
    team.release("1.0")
    result = publishing.publish(
        team.publisher(), tmp_path / "new", [team.online], lambda _: Served(live, "from the test")
    )
    assert result.signed == (("snapshot", 2), ("timestamp", 2))


def test_a_tampered_record_of_the_last_publication_is_not_believed(team: Team, tmp_path: Path) -> None:
    team.begin(with_site)
    team.push_file(PUBLISHED, "metadata/timestamp.json", b"{}")
    team.push_file(PUBLISHED, "targets/evil.bin", b"evil")
    team.push_file(STAGED, "metadata/1.targets.json", b"{}")
    team.release("1.0")
    publishing.publish(team.publisher(), tmp_path / "again", [team.online])
    assert findings(team, tmp_path / "again") == []
    assert not (tmp_path / "again/targets/evil.bin").exists()


def test_what_clients_in_flight_need_stays_until_it_is_old(team: Team, tmp_path: Path) -> None:
    team.begin(with_site, "1.0")
    team.release("1.1")
    publishing.publish(team.publisher(), tmp_path / "site", [team.online])
    assert (tmp_path / "site/metadata/1.snapshot.json").is_file()
    assert (tmp_path / "site/metadata/2.targets.json").is_file()
    much_later = team.publisher(NOW + days(100))
    publishing.publish(much_later, tmp_path / "site", [team.online])
    assert not (tmp_path / "site/metadata/1.snapshot.json").exists()
    assert not (tmp_path / "site/metadata/2.targets.json").exists()
    assert (tmp_path / "site/metadata/1.root.json").is_file()


def test_a_tree_that_a_client_would_refuse_is_not_handed_out(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team.begin(with_release, "1.0")
    real = built_site.write_directory

    def lossy(tree: object, directory: Path, **options: object) -> None:
        real(tree, directory, **options)  # type: ignore[arg-type]
        for archive in directory.rglob("*.tar.gz"):
            archive.write_bytes(b"")

    monkeypatch.setattr(built_site, "write_directory", lossy)
    with pytest.raises(RefusedError) as refusal:
        publishing.publish(team.publisher(), tmp_path / "site", [team.online])
    assert refusal.value.reason == "trial"
    assert not (tmp_path / "site").exists()
    team.person("publisher").context.forge.refresh()
    assert team.person("publisher").context.forge.branch_tip(PUBLISHED) is None


def test_ngclient_updates_from_one_publication_to_the_next(team: Team, tmp_path: Path) -> None:
    """A client that is not ours, used as its own documentation shows; its clock is the real one."""
    team.found()
    site, store = tmp_path / "site", tmp_path / "client"
    today = datetime.now(timezone.utc)
    store.mkdir()
    for version in ("1.0", "1.1"):
        team.release(version)
        publishing.publish(team.publisher(today), site, [team.online])
        with trial.serve_directory(site) as url:
            updater = Updater(
                metadata_dir=str(store),
                metadata_base_url=f"{url}metadata/",
                target_dir=str(store),
                target_base_url=f"{url}targets/",
                bootstrap=(site / "metadata/1.root.json").read_bytes(),
            )
            updater.refresh()
            info = updater.get_targetinfo(f"hello/hello-{version}.tar.gz")
            assert info is not None
            assert Path(updater.download_target(info)).stat().st_size == info.length


@pytest.mark.lab
def test_tuf_js_updates_from_one_publication_to_the_next(team: Team, tmp_path: Path) -> None:
    """The npm package tuf-js, which shares no code with python-tuf."""
    today = datetime.now(timezone.utc)
    team.found()
    site, store = tmp_path / "site", tmp_path / "client"
    for directory in (store / "metadata", store / "targets"):
        directory.mkdir(parents=True)
    seen = []
    for version in ("1.0", "1.1"):
        team.release(version)
        publishing.publish(team.publisher(today), site, [team.online])
        root = store / "metadata/root.json"
        if not root.exists():
            root.write_bytes((site / "metadata/1.root.json").read_bytes())
        client = Path(__file__).parents[1] / "js/client.mjs"
        with trial.serve_directory(site) as url:
            run = subprocess.run(
                ["node", client, store / "metadata", f"{url}metadata", store / "targets", f"{url}targets",
                 f"hello/hello-{version}.tar.gz"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr
        seen.append(json.loads(run.stdout))
    assert [answer["versions"]["targets"] for answer in seen] == [2, 3]


def test_the_role_files_on_the_site_are_the_bytes_in_git(team: Team, tmp_path: Path) -> None:
    team.begin(with_site, "1.0")
    forge = team.person("alice").context.forge
    forge.refresh()
    main = forge.tree(forge.main())
    assert (tmp_path / "site/metadata/2.targets.json").read_bytes() == main.read("metadata/targets.json")
    assert (tmp_path / "site/metadata/1.root.json").read_bytes() == main.read("metadata/root.json")
