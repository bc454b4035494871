"""Fetching pinned packages: checked, idempotent, safe at once, and clear when it fails. A script stands in for npm."""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devnet import fetch
from devnet.cache import DevnetUnavailable
from devnet.fetch import Package, fetch_package, pinned_packages

FILES = {
    "package/src/A.sol": b"contract A {}",
    "package/src/deep/B.sol": b"contract B {}",
    "package/README.md": b"read",
}


def tarball_of(files: Mapping[str, bytes] = FILES) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def package_of(content: bytes, *files: str) -> Package:
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    return Package("thing", "@scope/thing", "1.2.3", digest, files or ("src/**.sol",))


class FakeNpm:
    """An executable that writes a given tarball where `npm pack` would, and notes each run."""

    def __init__(self, folder: Path, content: bytes, *, exit_status: int = 0) -> None:
        folder.mkdir()
        self.path, self._log = folder / "npm", folder / "runs.log"
        (folder / "tarball").write_bytes(content)
        self.path.write_text(
            f"#!{sys.executable}\n"
            "import pathlib, shutil, sys, time\n"
            f"with open({str(self._log)!r}, 'a') as log: log.write(' '.join(sys.argv[1:]) + '\\n')\n"
            f"if {exit_status}: sys.exit({exit_status})\n"
            "into = next(a.split('=', 1)[1] for a in sys.argv if a.startswith('--pack-destination='))\n"
            f"shutil.copy({str(folder / 'tarball')!r}, pathlib.Path(into) / 'scope-thing-1.2.3.tgz')\n"
        )
        self.path.chmod(0o755)

    @property
    def runs(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


def test_only_the_wanted_files_of_a_package_are_kept(tmp_path: Path) -> None:
    content = tarball_of()
    npm = FakeNpm(tmp_path / "npm", content)
    folder = fetch_package(package_of(content), root=tmp_path, npm=npm.path)
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == [
        "src/A.sol",
        "src/deep/B.sol",
    ]
    assert (folder / "src/A.sol").read_bytes() == b"contract A {}"


def test_package_scripts_are_never_run(tmp_path: Path) -> None:
    content = tarball_of()
    npm = FakeNpm(tmp_path / "npm", content)
    fetch_package(package_of(content), root=tmp_path, npm=npm.path)
    assert npm.runs[0].startswith("pack @scope/thing@1.2.3 --ignore-scripts ")


def test_a_second_fetch_asks_nobody(tmp_path: Path) -> None:
    content = tarball_of()
    npm = FakeNpm(tmp_path / "npm", content)
    first = fetch_package(package_of(content), root=tmp_path, npm=npm.path)
    assert fetch_package(package_of(content), root=tmp_path, npm=tmp_path / "no npm at all") == first
    assert len(npm.runs) == 1


def test_wanting_other_files_of_the_same_package_fetches_again(tmp_path: Path) -> None:
    content = tarball_of()
    npm = FakeNpm(tmp_path / "npm", content)
    first = fetch_package(package_of(content), root=tmp_path, npm=npm.path)
    second = fetch_package(package_of(content, "README.md"), root=tmp_path, npm=npm.path)
    assert second != first
    assert (second / "README.md").read_bytes() == b"read"


def test_content_with_another_checksum_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    npm = FakeNpm(tmp_path / "npm", tarball_of({"package/src/A.sol": b"contract Evil {}"}))
    with pytest.raises(DevnetUnavailable, match=r"@scope/thing@1\.2\.3 is not the pinned content"):
        fetch_package(package_of(tarball_of()), root=tmp_path, npm=npm.path)
    assert list((tmp_path / "packages").iterdir()) == []


def test_no_network_says_what_to_do(tmp_path: Path) -> None:
    npm = FakeNpm(tmp_path / "npm", b"", exit_status=1)
    with pytest.raises(DevnetUnavailable, match=r"cannot fetch @scope/thing@1\.2\.3: check that this machine reaches"):
        fetch_package(package_of(tarball_of()), root=tmp_path, npm=npm.path)
    assert list((tmp_path / "packages").iterdir()) == []


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    content = tarball_of()[:60]
    npm = FakeNpm(tmp_path / "npm", content)
    with pytest.raises(DevnetUnavailable, match="not a readable archive"):
        fetch_package(package_of(content), root=tmp_path, npm=npm.path)


def test_a_file_that_is_not_in_the_package_is_refused(tmp_path: Path) -> None:
    content = tarball_of()
    npm = FakeNpm(tmp_path / "npm", content)
    with pytest.raises(DevnetUnavailable, match=r"holds no src/C\.sol"):
        fetch_package(package_of(content, "src/C.sol"), root=tmp_path, npm=npm.path)


def test_a_member_cannot_leave_its_folder(tmp_path: Path) -> None:
    content = tarball_of({**FILES, "package/../../../escaped.sol": b"out"})
    npm = FakeNpm(tmp_path / "npm", content)
    fetch_package(package_of(content, "**.sol"), root=tmp_path, npm=npm.path)
    assert list(tmp_path.rglob("escaped.sol")) == []


def test_two_at_once_download_once(tmp_path: Path) -> None:
    content = tarball_of()
    npm = FakeNpm(tmp_path / "npm", content)
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: fetch_package(package_of(content), root=tmp_path, npm=npm.path), range(4)))
    assert len(set(folders)) == 1
    assert len(npm.runs) == 1


def test_every_package_is_pinned_by_version_and_checksum() -> None:
    packages = pinned_packages().values()
    assert all(len(base64.b64decode(package.sha512)) == 64 for package in packages)
    assert all(package.version[0].isdigit() and package.files for package in packages)


def test_where_no_anvil_is_pinned_the_one_on_path_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch.platform, "machine", lambda: "mips")
    own = tmp_path / "anvil"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fetch.anvil_binary() == own
    own.unlink()
    with pytest.raises(DevnetUnavailable, match=r"no pinned Anvil for .* on mips: install Foundry's anvil"):
        fetch.anvil_binary()
