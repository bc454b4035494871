"""Morpho's own JavaScript of its markets' math, to compare against: an implementation that shares nothing with ours.

The package requires `viem` without saying so in its dependencies, for encoding and showing numbers only: a module that
throws when any of it is called stands in its place, so that nothing of a result can come from it.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from devnet.cache import cache_root, locked, staged_directory
from devnet.fetch import node_binary, package_path, pinned_packages
from devnet.math_utils import NODE_TIMEOUT_SECONDS
from devnet.node import Json

_MODULES = {
    "@morpho-org/blue-sdk": "morpho-blue-sdk",
    "@morpho-org/morpho-ts": "morpho-ts",
    "@noble/hashes": "noble-hashes",
}
_NO_VIEM = """
const unused = (name) => () => { throw new Error(`viem.${String(name)} is not here`); };
module.exports = new Proxy({}, { get: (target, name) => unused(name) });
"""
_DRIVER = """
const root = require('path').dirname(require.resolve('@morpho-org/blue-sdk'));
const load = (file) => require(`${root}/${file}`);
const sdk = {
  ...load('market/MarketUtils.js'), ...load('market/Market.js'), ...load('position/Position.js'),
};
const value = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const text = (key, found) => typeof found === 'bigint' ? found.toString() : found;
process.stdout.write(JSON.stringify((%s)(sdk, value), text));
"""


def evaluate(script: str, value: object) -> Json:
    """The JSON result of a JavaScript function `(sdk, value) => ...`; its big numbers come as text.

    Hand over all cases at once: starting Node takes longer than thousands of them.

    Raises:
        DevnetUnavailable: the packages cannot be fetched.
        ValueError: the script failed; the message is Node's.
    """
    options = ["--no-warnings", "--preserve-symlinks"]
    done = subprocess.run(  # noqa: S603 - our own command line, no shell
        [str(node_binary()), *options, "-e", _DRIVER % script],
        input=json.dumps(value).encode(),
        env={**os.environ, "NODE_PATH": str(_module_folder())},
        capture_output=True,
        timeout=NODE_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise ValueError(done.stderr.decode(errors="replace")[-1000:])
    result: Json = json.loads(done.stdout)
    return result


def _module_folder() -> Path:
    """A folder as Node looks modules up in: links into the cache, and what stands for viem."""
    root = cache_root()
    parts = [pinned_packages()[key].directory for key in _MODULES.values()]
    target = root / "modules" / "-".join(["morpho", *(part.rpartition("-")[2] for part in parts)])
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
                viem = staging / "viem"
                viem.mkdir()
                (viem / "index.js").write_text(_NO_VIEM)
    return target
