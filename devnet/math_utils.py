"""Aave's own JavaScript math, to compare against: an implementation that shares nothing with ours."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from devnet.cache import cache_root, locked, staged_directory
from devnet.fetch import node_binary, package_path, pinned_packages
from devnet.node import Json

_MODULES = {"@aave/math-utils": "aave-math-utils", "bignumber.js": "bignumber", "tslib": "tslib"}
_DRIVER = """
const mathUtils = require('@aave/math-utils');
const value = JSON.parse(require('fs').readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify((%s)(mathUtils, value)));
"""
NODE_TIMEOUT_SECONDS = 120


def evaluate(script: str, value: object) -> Json:
    """The JSON result of a JavaScript function `(mathUtils, value) => ...`; its big numbers come as text.

    Hand over all cases at once: starting Node takes longer than thousands of them.

    Raises:
        DevnetUnavailable: the packages cannot be fetched.
        ValueError: the script failed; the message is Node's.
    """
    environment = {**os.environ, "NODE_PATH": str(_module_folder())}
    done = subprocess.run(  # noqa: S603 - our own command line, no shell
        [str(node_binary()), "-e", _DRIVER % script],
        input=json.dumps(value).encode(),
        env=environment,
        capture_output=True,
        timeout=NODE_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise ValueError(done.stderr.decode(errors="replace")[-1000:])
    result: Json = json.loads(done.stdout)
    return result


def _module_folder() -> Path:
    """A folder as Node looks modules up in, made of links into the cache."""
    root = cache_root()
    parts = [pinned_packages()[key].directory for key in _MODULES.values()]
    target = root / "modules" / "-".join(part.rpartition("-")[2] for part in parts)
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
