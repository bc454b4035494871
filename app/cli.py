"""The `waterline` command: what a person types, and how faults are told to them.

Each command imports what it runs when it runs: help and refusals come at once, not after two seconds of imports.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.domain.specs import chain_spec
from app.errors import Fatal, Refused, WaterlineError
from app.settings import Settings, load_settings
from app.supervisor import EXIT_FATAL, EXIT_REFUSED

app = typer.Typer(
    name="waterline",
    help="How far every on-chain lending and perp position is from liquidation, as of this block.\n\n"
    "Settings come from the environment and from `.env`; see `.env.example`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()
if not console.is_terminal:
    console.width = 160  # into a pipe or a file, where nothing is to be folded
complaints = Console(stderr=True)


def main() -> None:
    """Entry point: runs a command, and turns the project's own failures into one line and an exit status."""
    try:
        app()
    except Refused as error:
        complaints.print(f"[bold red]Refused:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(EXIT_REFUSED)
    except Fatal as error:
        complaints.print(f"[bold red]Stopped:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(EXIT_FATAL)
    except WaterlineError as error:
        complaints.print(f"[bold red]Failed:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)


@app.command()
def demo() -> None:
    """A local chain with the real protocol contracts, followed live: the whole product on one machine.

    Starts an embedded Postgres, a local chain with 300 wallets, the indexer, the API and the page. Nothing is kept:
    Ctrl-C ends every process and removes every file.
    """

    async def command(settings: Settings) -> int:
        from app import launch

        return await launch.demo(settings, console)

    _run(command)


@app.command()
def up() -> None:
    """Follow every chain that has an RPC_URL_<chain id>, and serve the API and the page.

    One process a chain and one for serving; they are restarted when they crash and end together. Without
    DATABASE_URL an embedded Postgres keeps its files under DATA_DIR.
    """

    async def command(settings: Settings) -> int:
        from app import launch

        return await launch.up(settings, console)

    _run(command)


@app.command()
def index(
    chain: Annotated[int, typer.Option(help="Id of the chain to follow; needs RPC_URL_<id>.")],
    progress: Annotated[bool | None, typer.Option(help="Show how the search of old blocks proceeds.")] = None,
) -> None:
    """Follow one chain and write what it does to Postgres. A second instance stands by and takes over.

    Old blocks are searched for accounts while new ones are followed; it goes on where it was stopped.
    """

    async def command(settings: Settings) -> None:
        from app import wiring

        with wiring.scan_progress(console, shown=console.is_terminal if progress is None else progress) as on_scan:
            await wiring.index(settings, chain, on_scan)

    _run(command)


@app.command()
def serve() -> None:
    """Serve the REST API and the lookup page from Postgres. Needs no node."""

    async def command(settings: Settings) -> None:
        from app import wiring

        await wiring.serve(settings)

    _run(command)


@app.command()
def migrate() -> None:
    """Bring the database schema to this version. `up`, `demo` and `index` do it by themselves."""

    async def command(settings: Settings) -> None:
        from app import wiring

        await wiring.migrate(settings)

    _run(command)


@app.command()
def devnet(
    port: Annotated[int | None, typer.Option(help="Port of the JSON-RPC endpoint. Default: DEVNET_PORT.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same history. Default: DEVNET_SEED.")
    ] = None,
    wallets: Annotated[int | None, typer.Option(help="How many wallets. Default: DEVNET_WALLETS.")] = None,
    block_seconds: Annotated[float, typer.Option(help="Seconds between blocks.")] = 2.0,
    deployments_file: Annotated[Path, typer.Option(help="Where to write what was deployed.")] = Path("devnet.json"),
    guide_file: Annotated[Path | None, typer.Option(help="Where to write which wallets are worth looking at.")] = None,
    history_after: Annotated[
        Path | None, typer.Option(help="Wait for this file before living through two days of history.")
    ] = None,
) -> None:
    """A local chain with the real Aave contracts, a population of wallets, moving prices and a liquidator."""
    settings = load_settings()
    from app import wiring

    wiring.devnet(
        port=port or settings.devnet_port,
        seed=settings.devnet_seed if seed is None else seed,
        wallets=wallets or settings.devnet_wallets,
        block_seconds=block_seconds,
        deployments_file=deployments_file,
        guide_file=guide_file,
        history_after=history_after,
        console=console,
    )


@app.command()
def protocols() -> None:
    """List every deployment this installation knows: where it is, and from which block it is followed.

    Those marked "if named" are followed only when DEPLOYMENTS names them: they are known, but not yet tried on their
    real chain to the standard of the others.
    """
    settings = load_settings()
    from app import wiring

    table = Table(title="Deployments", header_style="bold")
    for column in ("id", "chain", "from block"):
        table.add_column(column, justify="right" if column == "from block" else "left", no_wrap=True)
    table.add_column("followed", no_wrap=True)
    table.add_column("contract", overflow="fold")
    for deployment in wiring.known_deployments(settings):
        chain = f"{chain_spec(deployment.chain_id).name} ({deployment.chain_id})"
        start = f"{deployment.start_block:,}" if deployment.start_block else "genesis"
        followed = "if named" if deployment.on_request else "yes"
        table.add_row(deployment.id, chain, start, followed, str(deployment.address))
    console.print(table)


@app.command()
def status() -> None:
    """How far each followed chain has been indexed, how old that is, and what troubles it."""

    async def command(settings: Settings) -> int:
        from app import wiring

        return await wiring.print_status(settings, console)

    _run(command)


def _run(command: Callable[[Settings], Coroutine[None, None, int | None]]) -> None:
    """Load the settings, set up logging, run one command to its end and exit with its status."""
    settings = load_settings()
    logging.basicConfig(
        level=settings.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for chatty in ("alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # These libraries log whole URLs, which may hold keys.
    for noisy in ("aiohttp", "httpx", "web3", "websockets", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    raise typer.Exit(asyncio.run(command(settings)) or 0)
