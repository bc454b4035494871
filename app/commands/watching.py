"""The command that looks at watchlists once, for cron."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.alerts.dispatch import Dispatcher
from app.alerts.timers import Timers
from app.book import Keeper
from app.commands.delivery import opened, sender_context, timer_options
from app.commands.terminal import complaints
from app.domain.watch import Severity
from app.errors import Refused, WaterlineError
from app.processes.evaluator import make_evaluator
from app.settings import Settings
from app.store.deployments import load_deployments
from app.store.postgres.engine import Database
from app.watch.report import as_json, as_markdown, chain_words, outcome_words, severity_words, what, who
from app.watch.run import Outcome, Report, Runner

FORMATS = ("table", "json", "markdown")
_COLOURS = {Severity.INFO: "cyan", Severity.WARNING: "yellow", Severity.CRITICAL: "bold red"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    names: Sequence[str]
    """Of lists; none: all."""
    chain_id: int | None
    shown_as: str
    fail_on: str
    deliver: bool


async def run_watchlists(settings: Settings, asked: Asked, console: Console) -> int:
    """Evaluate, print what is open, and send what is due if asked to; the exit status. Whatever keeps it from knowing
    is the status for that, the database's trouble too.

    Raises:
        Refused: an option, a list or a chain is not there.
    """
    least = _severity(asked.fail_on)
    if asked.shown_as not in FORMATS:
        raise Refused(f"--format {asked.shown_as}: there are: {', '.join(FORMATS)}")
    try:
        async with opened(settings, "waterline watchlist") as database:
            chains = await _chains(settings, database, asked.chain_id)
            runner = Runner(database, make_evaluator(settings, database), time.time, partial(Keeper, database))
            report = await runner.look(chains, asked.names)
            _print(report, asked.shown_as, least, console)
            if asked.deliver:
                async with Timers(database, timer_options(settings)) as timers:
                    await timers.run_due(int(time.time()))
                async with sender_context(settings) as context:
                    await Dispatcher(database, context).deliver_due(int(time.time()))
    except Refused:
        raise
    except WaterlineError as error:
        complaints.print(f"[bold red]Cannot know:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return int(Outcome.CANNOT_KNOW)
    return int(report.outcome(least))


async def _chains(settings: Settings, database: Database, chain_id: int | None) -> list[int]:
    if chain_id is not None:
        return [chain_id]
    async with database.read() as session:
        stored = {one.chain_id for one in await load_deployments(session)}
    if not (chains := sorted(settings.chains or stored)):
        raise Refused("no chain is followed yet: run `waterline index` first, or name one with --chain")
    return chains


def _severity(name: str) -> Severity:
    try:
        return Severity[name.upper()]
    except KeyError:
        there = ", ".join(one.name.lower() for one in Severity)
        raise Refused(f"--fail-on {name}: there are: {there}") from None


def _print(report: Report, shown_as: str, fail_on: Severity, console: Console) -> None:
    if shown_as == "json":
        typer.echo(as_json(report, fail_on))
    elif shown_as == "markdown":
        typer.echo(as_markdown(report, fail_on))
    else:
        _print_table(report, fail_on, console)


def _print_table(report: Report, fail_on: Severity, console: Console) -> None:
    if report.findings:
        table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        for column in ("severity", "watchlist", "rule", "what", "finding", "open since"):
            table.add_column(column, overflow="fold")
        for one in report.findings:
            severity = f"[{_COLOURS[one.episode.severity]}]{escape(severity_words(one))}[/]"
            since = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(one.episode.opened_at))
            table.add_row(severity, *map(escape, (one.watchlist, one.episode.rule_name, who(one), what(one), since)))
        console.print(table)
    for look in report.chains:
        console.print(chain_words(look), style="yellow" if look.trouble or look.unknown else "", highlight=False)
    lists = ", ".join(report.watchlists)
    console.print(f"{lists}: {outcome_words(report, fail_on)}", highlight=False, markup=False)
