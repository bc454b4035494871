"""The process that is a local chain."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from devnet import demo as local_chain


def devnet(
    *,
    port: int,
    seed: int,
    wallets: int,
    block_seconds: float,
    deployments_file: Path,
    guide_file: Path | None,
    history_after: Path | None,
    console: Console,
) -> None:
    """Run the local chain until SIGINT or SIGTERM."""

    def announce(ready: local_chain.Ready) -> None:
        if guide_file is None:
            console.print(f"chain {ready.chain_id} at {ready.rpc_url}, deployments in {ready.deployments_file}")
            for what, wallet in ready.wallets:
                console.print(f"  {wallet}  {what}", highlight=False)
        else:
            guide = [{"wallet": str(wallet), "why": what} for what, wallet in ready.wallets]
            partial = guide_file.with_suffix(".partial")
            partial.write_text(json.dumps(guide))
            partial.rename(guide_file)

    local_chain.run(port, seed, wallets, block_seconds, deployments_file, announce, history_after=history_after)
