"""The `waterline` command: what a person types, and how faults are told to them.

Each command imports what it runs when it runs: help and refusals come at once, not after two seconds of imports.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import JustifyMethod
from rich.markup import escape
from rich.table import Table

from app.commands.channel import channel_commands
from app.commands.key import key_commands
from app.commands.terminal import STARTING, complaints, console
from app.commands.terminal import run as _run
from app.commands.watchlist import watchlist_commands
from app.errors import Fatal, Refused, WaterlineError
from app.settings import Settings, load_settings
from app.supervisor import EXIT_FATAL, EXIT_REFUSED

if TYPE_CHECKING:
    from app.api.schemas.protocols import ProtocolsView

app = typer.Typer(
    name="waterline",
    help="How far every on-chain lending and perp position is from liquidation, as of this block.\n\n"
    "Settings come from the environment and from `.env`; see `.env.example`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(watchlist_commands, name="watchlist")
app.add_typer(channel_commands, name="channel")
app.add_typer(key_commands, name="key")
_NEEDED_WIDTH = {"protocol": 122, "name": 160}
"""Columns of a list of deployments that a narrower terminal does without."""


def main() -> None:
    """Entry point: runs a command, and turns the project's own failures into one line and an exit status."""
    gc.set_threshold(*STARTING)
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
        from app.processes import index

        with index.scan_progress(console, shown=console.is_terminal if progress is None else progress) as on_scan:
            await index.index(settings, chain, on_scan)

    _run(command)


@app.command()
def monitor(
    chain: Annotated[int | None, typer.Option(help="Only this chain. Default: every chain that is followed.")] = None,
) -> None:
    """Keep every account's risk current at each indexed block: the board, totals, changes of status. Needs no node.

    A second instance stands by and takes over.
    """

    async def command(settings: Settings) -> None:
        from app.processes import monitor

        await monitor.monitor(settings, chain)

    _run(command)


@app.command()
def deliver() -> None:
    """Send alerts to their channels, and try again what was not taken. Several may run at once."""

    async def command(settings: Settings) -> None:
        from app.commands import delivery

        await delivery.deliver(settings)

    _run(command)


@app.command()
def track(
    addresses: Annotated[list[str] | None, typer.Argument(help="Wallets, in any form of address.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file of wallets, one a line; # begins a remark.")] = None,
    chain: Annotated[int | None, typer.Option(help="Only this chain. Default: every chain that is followed.")] = None,
) -> None:
    """Have wallets looked up at the next block, without waiting for the search of old blocks to come to them."""

    async def command(settings: Settings) -> int:
        from app.commands import upkeep

        return await upkeep.track(settings, addresses or [], file, chain, console)

    _run(command)


@app.command()
def thin(
    days: Annotated[int | None, typer.Option(min=1, help="Days of history to keep. Default: RETENTION_DAYS.")] = None,
    chain: Annotated[int | None, typer.Option(help="Only this chain.")] = None,
) -> None:
    """Drop history older than that: older blocks can then not be asked about; all later answers stay as they are.

    An indexer with RETENTION_DAYS does it by itself. It may run beside one, and be stopped at any moment.
    """

    async def command(settings: Settings) -> None:
        from app.commands import upkeep

        await upkeep.thin(settings, days, chain, console)

    _run(command)


@app.command()
def serve() -> None:
    """Serve the REST API and the lookup page from Postgres. Needs no node."""

    async def command(settings: Settings) -> None:
        from app.processes import serve

        await serve.serve(settings)

    _run(command)


@app.command()
def migrate() -> None:
    """Bring the database schema to this version. `up`, `demo` and `index` do it by themselves."""

    async def command(settings: Settings) -> None:
        from app.commands import upkeep

        await upkeep.migrate(settings)

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
    from app.processes import devnet

    devnet.devnet(
        port=port or settings.devnet_port,
        seed=settings.devnet_seed if seed is None else seed,
        wallets=wallets or settings.devnet_wallets,
        block_seconds=block_seconds,
        deployments_file=deployments_file,
        guide_file=guide_file,
        history_after=history_after,
        console=console,
    )


@app.command(
    help="List every known deployment, chain by chain, and what the answers about each protocol are worth.\n\n"
    "Those on request are followed only when DEPLOYMENTS names them; a note below the tables says why.\n\n"
    "exact: equal to the contract's own answer, and how that is proven. calibrated: rules chosen by comparison with "
    "the contract while following. approximate: right under an assumption, which is stated. not modelled: left out.\n\n"
    "A narrow terminal shows fewer columns; --json has everything, sources included."
)
def protocols(
    chain: Annotated[int | None, typer.Option(help="Only deployments on the chain of this id, e.g. 8453.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Only this protocol, by its slug, e.g. aave-v3.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what /v1/protocols answers.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the lists of docs/protocols.md.")] = False,
) -> None:
    """What is known, and what is said of it."""
    settings = load_settings()
    from app.api.protocols import markdown, protocols_view
    from app.deployments import is_followed, registered_deployments
    from app.protocols.registry import adapters

    known = registered_deployments(settings)
    _check_known("--protocol", protocol, sorted(adapters()))
    _check_known("--chain", chain, sorted({one.chain_id for one in known}))
    chosen = [one for one in known if chain in (None, one.chain_id) and protocol in (None, one.protocol)]
    there = {one.protocol for one in chosen}
    shown = [a for slug, a in adapters().items() if protocol in (None, slug) and (chain is None or slug in there)]
    view = protocols_view(shown, chosen)
    if as_json:
        typer.echo(view.model_dump_json(indent=2))
    elif as_markdown:
        typer.echo(markdown(view))
    else:
        _print_deployments(view, {one.id for one in known if is_followed(settings, one)})
        _print_coverage(view)


def _check_known(option: str, given: int | str | None, known: Sequence[int | str]) -> None:
    """Refuse an option whose value nothing is known of, with those there are."""
    if given is not None and given not in known:
        raise Refused(f"{option} {given}: unknown; there are: {', '.join(map(str, known))}")


def _print_deployments(view: ProtocolsView, followed: set[str]) -> None:
    """One table a chain; below them, why some are followed on request only."""
    notes: dict[str, str] = {}
    by_chain: dict[tuple[int, str], list[dict[str, str]]] = {}
    for protocol in view.items:
        for one in protocol.deployments:
            how = "yes"
            if one.id not in followed:
                reason = one.on_request_reason or "DEPLOYMENTS does not name it"
                how = f"on request [{notes.setdefault(reason, chr(ord('a') + len(notes)))}]"
            cells = {"id": one.id, "protocol": protocol.name, "followed": escape(how)}
            cells |= {"from block": f"{one.start_block:,}" if one.start_block else "genesis"}
            by_chain.setdefault((one.chain_id, one.chain), []).append(
                cells | {"name": escape(one.name), "contract": one.address}
            )
    for (chain_id, chain), rows in sorted(by_chain.items()):
        table = Table(
            title=f"{chain} ({chain_id})", title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False
        )
        shown = [name for name in rows[0] if console.width >= _NEEDED_WIDTH.get(name, 0)]
        for name in shown:
            justify: JustifyMethod = "right" if name == "from block" else "left"
            table.add_column(name, justify=justify, no_wrap=name != "contract", overflow="fold")
        for row in rows:
            table.add_row(*(row[name] for name in shown))
        console.print(table)
    for reason, letter in notes.items():
        console.print(f"[{letter}] {reason}", markup=False, highlight=False)


def _print_coverage(view: ProtocolsView) -> None:
    """What the answers about each protocol are worth."""
    for protocol in view.items:
        table = Table(
            title=f"{protocol.name}: what the answers are worth",
            title_justify="left",
            show_header=False,
            box=SIMPLE_HEAD,
        )
        table.add_column(no_wrap=True, style="bold")
        table.add_column(overflow="fold")
        for worth, sentences in protocol.coverage.model_dump().items():
            for sentence in sentences:
                table.add_row(worth.replace("_", " ") if sentence is sentences[0] else "", escape(sentence))
        console.print()
        console.print(table, highlight=False)


@app.command()
def status() -> None:
    """How far each followed chain has been indexed, how old that is, and what troubles it."""

    async def command(settings: Settings) -> int:
        from app.commands.status import print_status

        return await print_status(settings, console)

    _run(command)
