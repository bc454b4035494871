"""The Standard Webhooks project's own JavaScript, for receivers that verify what is sent: it shares nothing with ours.

Fetched with the devnet's packages, by name, version and checksum, and run by the Node of this Python environment.
"""

from __future__ import annotations

import os
from pathlib import Path

from devnet.fetch import node_binary
from devnet.modules import module_folder

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
    return command, {**os.environ, "NODE_PATH": str(module_folder("webhooks", _MODULES))}
