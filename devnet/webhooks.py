"""The Standard Webhooks project's own JavaScript, for receivers that verify what is sent: it shares nothing with ours.

Fetched with the devnet's packages, by name, version and checksum, and run by the Node of this Python environment.
"""

from __future__ import annotations

import os
from pathlib import Path

from devnet.cache import cache_root, locked, staged_directory
from devnet.fetch import node_binary, package_path, pinned_packages

_MODULES = {
    "standardwebhooks": "standardwebhooks",
    "@stablelib/base64": "stablelib-base64",
    "fast-sha256": "fast-sha256",
}


def receiver_command(script: Path) -> tuple[list[str], dict[str, str]]:
    """How to run a script that requires `standardwebhooks`: the command line, and its environment.

    Raises:
        DevnetUnavailable: Node or the packages are not there and cannot be fetched.
    """
    command = [str(node_binary()), "--no-warnings", str(script)]
    return command, {**os.environ, "NODE_PATH": str(_module_folder())}


def _module_folder() -> Path:
    """A folder as Node looks modules up in: links into the cache."""
    root = cache_root()
    parts = [pinned_packages()[key].directory for key in _MODULES.values()]
    target = root / "modules" / "-".join(["webhooks", *(part.rpartition("-")[2] for part in parts)])
    if target.is_dir():
        return target
    folders = {module: package_path(key) for module, key in _MODULES.items()}
    with locked(root, "modules"):
        if not target.is_dir():
            with staged_directory(target) as staging:
                for module, folder in folders.items():
                    link = staging / module
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(folder)
    return target
