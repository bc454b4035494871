"""Folders as Node looks modules up in, made of links into the cache of fetched packages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from devnet.cache import cache_root, locked, staged_directory
from devnet.fetch import package_path, pinned_packages


def module_folder(name: str, modules: Mapping[str, str], stubs: Mapping[str, str] | None = None) -> Path:
    """A folder for NODE_PATH.

    Args:
        name: begins the folder's name; the packages' checksums end it.
        modules: key of the pinned package by the name it is required under.
        stubs: JavaScript that stands in a module's place, by that module's name.

    Raises:
        DevnetUnavailable: a package is not there and cannot be fetched.
    """
    root = cache_root()
    parts = [pinned_packages()[key].directory for key in modules.values()]
    target = root / "modules" / "-".join([name, *(part.rpartition("-")[2] for part in parts)])
    if target.is_dir():
        return target
    folders = {module: package_path(key) for module, key in modules.items()}
    with locked(root, "modules"):
        if not target.is_dir():
            with staged_directory(target) as staging:
                for module, folder in folders.items():
                    link = staging / module
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(folder)
                for module, source in (stubs or {}).items():
                    (staging / module).mkdir()
                    (staging / module / "index.js").write_text(source)
    return target
