"""Morpho's own JavaScript of its markets' math, to compare against: an implementation that shares nothing with ours.

The package requires `viem` without saying so in its dependencies, for encoding and showing numbers only: a module that
throws when any of it is called stands in its place, so that nothing of a result can come from it.
"""

from __future__ import annotations

import json
import os
import subprocess

from devnet.fetch import node_binary
from devnet.math_utils import NODE_TIMEOUT_SECONDS
from devnet.modules import module_folder
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
        env={**os.environ, "NODE_PATH": str(module_folder("morpho", _MODULES, {"viem": _NO_VIEM}))},
        capture_output=True,
        timeout=NODE_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise ValueError(done.stderr.decode(errors="replace")[-1000:])
    result: Json = json.loads(done.stdout)
    return result
