"""The command that says how far each chain is followed."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from app.api.app import create_app
from app.api.status import load_status_view
from app.commands.terminal import database_named
from app.processes.serve import api_options
from app.settings import Settings
from app.store.postgres.engine import Database


async def print_status(settings: Settings, console: Console) -> int:
    """What the store knows of each chain, as a table. 0 when every configured chain is fresh, else 1."""
    database = Database(settings.require_database_url().reveal(), role="waterline status")
    try:
        app = create_app(database, api_options(settings))
        with database_named():
            view = await load_status_view(app.state.read_context)
    finally:
        await database.dispose()
    table = Table(title="Chains", header_style="bold")
    for column in ("chain", "indexed", "head", "behind", "age s", "to read", "to search", "state"):
        table.add_column(column, justify="left" if column in ("chain", "state") else "right")
    for chain in view.chains:
        numbers = (chain.indexed_number, chain.head_number, chain.blocks_behind, chain.lag_seconds)
        backlog = (chain.pending_reads, chain.scan_remaining_blocks)
        cells = ["-" if number is None else f"{number:,}" for number in (*numbers, *backlog)]
        table.add_row(f"{chain.chain} ({chain.chain_id})", *cells, chain.stale_reason or "fresh")
    console.print(table)
    return 0 if view.ready else 1
