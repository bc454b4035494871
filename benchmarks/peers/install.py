"""The peers' packages: npm brings exactly those of the lock files here, by their checksums, into the cache.

No script of any package is run. The lock files name versions and SHA-512 sums and no place to get them from: that is
npm's own configuration. Our project files are put beside the packages anew each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from devnet.cache import DevnetUnavailable, cache_root, locked, staged_directory
from devnet.fetch import NPM_TIMEOUT_SECONDS, node_binary

PROJECTS = Path(__file__).parent
_PACKAGE_FILES = ("package.json", "package-lock.json")


def installed(peer: str) -> Path:
    """The folder of a peer's project, ready to be run; its packages are fetched first when they are not there yet.

    Args:
        peer: `ponder` or `subsquid`.

    Raises:
        DevnetUnavailable: no npm, no network, or a package that is not what the lock file says.
    """
    source, root = PROJECTS / peer, cache_root()
    content = b"".join((source / name).read_bytes() for name in _PACKAGE_FILES)
    target = root / "peers" / f"{peer}-{hashlib.sha256(content).hexdigest()[:12]}"
    with locked(root, target.name):
        if not target.is_dir():
            with staged_directory(target) as staging:
                for name in _PACKAGE_FILES:
                    shutil.copy(source / name, staging / name)
                _fetch(peer, staging)
                _check(peer, staging, json.loads((source / "package-lock.json").read_text()))
        shutil.copytree(source, target, dirs_exist_ok=True)
    return target


def node_environment(**more: str) -> dict[str, str]:
    """The environment of a Node process: this one's, with this project's Node first on the path."""
    path = f"{node_binary().parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, **more}


@cache
def node_program() -> str:
    """Node itself: what is on the path may be a small script that starts it."""
    asked = [str(node_binary()), "--print", "process.execPath"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def _fetch(peer: str, folder: Path) -> None:
    # not `npm ci`: it refuses locks in which packages for other platforms are missing from the registry
    options = [
        "--no-save",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
        "--update-notifier=false",
    ]
    npm = node_binary().with_name("npm")
    try:
        done = subprocess.run(
            [str(npm), "install", *options],
            cwd=folder,
            env=node_environment(),
            capture_output=True,
            text=True,
            timeout=NPM_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DevnetUnavailable(f"the packages of {peer} could not be fetched: {type(error).__name__}") from error
    if done.returncode:
        raise DevnetUnavailable(f"the packages of {peer} could not be fetched: {done.stderr.strip()[-500:]}")


def _check(peer: str, folder: Path, wanted: dict[str, dict[str, dict[str, object]]]) -> None:
    """Whatever was installed is in our lock file, with that checksum: npm itself compared it with the content."""
    found = json.loads((folder / "node_modules" / ".package-lock.json").read_text())["packages"]
    for name, package in found.items():
        integrity = wanted["packages"].get(name, {}).get("integrity")
        if integrity is None or package.get("integrity") != integrity:
            raise DevnetUnavailable(f"{peer}: {name} is not the pinned content")
