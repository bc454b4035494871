"""An indexer as a process of its own, for tests that end it as an operating system would."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from app.chain.heads import follow_heads
from app.chain.reader import ChainReader
from app.chain.rpc import Rpc
from app.domain.specs import chain_spec
from app.indexer.loop import Indexer
from app.settings import load_settings
from app.store.postgres.engine import Database


async def main(rpc_url: str, database_url: str, deployments_file: str) -> None:
    """Follow the devnet until killed."""
    deployments = load_settings({"DEPLOYMENTS_FILE": str(Path(deployments_file))}).extra_deployments
    spec = chain_spec(deployments[0].chain_id)
    reader = ChainReader(Rpc(rpc_url), spec)
    await Indexer(reader, Database(database_url), spec, deployments, lambda: follow_heads(reader, None, 0.05)).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
