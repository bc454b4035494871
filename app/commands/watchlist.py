"""`waterline watchlist …`: lists of wallets, what is looked for in them, and whom they tell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.terminal import console, run
from app.errors import Refused

watchlist_commands = typer.Typer(help="Lists of wallets, what is looked for in them, and whom they tell.")
rule_commands = typer.Typer(help="What is looked for. docs/alerts.md says what each metric means.")
route_commands = typer.Typer(help="Which channels a list tells.")
watchlist_commands.add_typer(rule_commands, name="rule")
watchlist_commands.add_typer(route_commands, name="route")

_Name = Annotated[str, typer.Argument(metavar="LIST", help="Name of the watchlist.")]
_Addresses = Annotated[list[str], typer.Argument(help="0x…, eip155:1:0x…, or an ENS name where its chain has a node.")]
_Chain = Annotated[int | None, typer.Option(help="Id of one chain. Default: every chain.")]
_Channel = Annotated[str, typer.Argument(help="Name of the channel.")]


@watchlist_commands.command("list")
def list_() -> None:
    """Every list, with how much is in it."""
    from app.commands import lists

    run(lambda settings: lists.print_lists(settings, console))


@watchlist_commands.command()
def show(name: _Name) -> None:
    """One list: its first members, its rules, and whom it tells."""
    from app.commands import lists

    run(lambda settings: lists.print_list(settings, name, console))


@watchlist_commands.command()
def create(name: _Name, note: Annotated[str, typer.Option(help="For people.")] = "") -> None:
    """Make an empty list."""
    from app.commands import lists

    run(lambda settings: lists.add_list(settings, name, note, console))


@watchlist_commands.command()
def delete(name: _Name) -> None:
    """Delete a list with its members, rules, routes and episodes."""
    from app.commands import lists

    run(lambda settings: lists.drop_list(settings, name))


@watchlist_commands.command()
def pause(name: _Name) -> None:
    """Evaluate a list no more. Its open episodes stay as they are."""
    from app.commands import lists

    run(lambda settings: lists.pause_list(settings, name, is_paused=True))


@watchlist_commands.command()
def resume(name: _Name) -> None:
    """Evaluate a list again."""
    from app.commands import lists

    run(lambda settings: lists.pause_list(settings, name, is_paused=False))


@watchlist_commands.command()
def add(
    name: _Name,
    addresses: _Addresses,
    chain: _Chain = None,
    label: Annotated[str, typer.Option(help="What to call them.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
) -> None:
    """Put wallets on a list. One that is there already gets the label and the tags given now."""
    from app.commands import lists

    given = {"chain_id": chain, "label": label, "tags": tag or []}
    run(lambda settings: lists.add_wallets(settings, name, addresses, given, console))


@watchlist_commands.command()
def remove(name: _Name, addresses: _Addresses, chain: _Chain = None) -> None:
    """Take wallets off a list."""
    from app.commands import lists

    run(lambda settings: lists.remove_wallets(settings, name, addresses, chain, console))


@watchlist_commands.command("import")
def import_(
    name: _Name,
    file: Annotated[Path, typer.Argument(help="CSV of address, chain_id, label, tags; - is standard input.")],
    partial: Annotated[bool, typer.Option("--partial", help="Store the good lines though others are not.")] = False,
) -> None:
    """Put the wallets of a file on a list: all, or none when a line is faulty. Every faulty line is named."""
    from app.commands import lists

    run(lambda settings: lists.import_csv(settings, name, file, console, partial=partial))


@watchlist_commands.command()
def export(name: _Name, file: Annotated[Path | None, typer.Argument(help="Default: standard output.")] = None) -> None:
    """Write the wallets of a list as CSV, as import takes it."""
    from app.commands import lists

    run(lambda settings: lists.export_csv(settings, name, file))


@watchlist_commands.command("run")
def look(
    names: Annotated[list[str] | None, typer.Argument(metavar="[LIST]...", help="Default: all lists.")] = None,
    chain: Annotated[int | None, typer.Option(help="Only this chain. Default: every chain that is followed.")] = None,
    shown_as: Annotated[str, typer.Option("--format", help="table, json or markdown.")] = "table",
    fail_on: Annotated[str, typer.Option(help="Severity that is a finding: info, warning or critical.")] = "warning",
    deliver: Annotated[bool, typer.Option("--deliver", help="Send what is due, too.")] = False,
) -> None:
    """Hold the rules against the newest block, once, and print what is open. For cron; needs no monitor.

    Exit status: 0 calm, 1 findings, 2 it cannot be known (a chain is stale, members are unknown, the database is away).
    It may run beside a monitor and beside itself: nothing is told twice.
    """
    from app.commands import watching

    given = watching.Asked(names or [], chain, shown_as, fail_on, deliver)
    run(lambda settings: watching.run_watchlists(settings, given, console))


@rule_commands.command("add")
def add_rule(
    name: _Name,
    rule: Annotated[str, typer.Argument(metavar="RULE", help="What to call the rule.")],
    metric: Annotated[str, typer.Option(help="Such as health_factor; docs/alerts.md has all.")],
    info: Annotated[str | None, typer.Option(help="Level from which on a finding is an info.")] = None,
    warning: Annotated[str | None, typer.Option(help="Level of a warning.")] = None,
    critical: Annotated[str | None, typer.Option(help="Level of what is critical.")] = None,
    clear_at: Annotated[str | None, typer.Option(help="An episode ends past it. Default: the mildest level.")] = None,
    asset: Annotated[str | None, typer.Option(help="price_distance: one asset.")] = None,
    group: Annotated[str | None, typer.Option(help="joint_distance, sigma_distance, debt_at_risk.")] = None,
    move: Annotated[str | None, typer.Option(help="debt_at_risk: the group's move, such as -0.2.")] = None,
    window: Annotated[int | None, typer.Option(help="collateral_change, debt_change: seconds.")] = None,
    status: Annotated[list[str] | None, typer.Option(help="status: liquidatable, unknown; may be repeated.")] = None,
    deployment: Annotated[str | None, typer.Option(help="Only this deployment.")] = None,
    chain: Annotated[int | None, typer.Option(help="debt_at_risk, blind: this chain.")] = None,
    cooldown: Annotated[int, typer.Option(help="Seconds in which a new episode is silent, unless worse.")] = 0,
) -> None:
    """Give a list a rule."""
    levels = {"info": info, "warning": warning, "critical": critical}
    given: dict[str, object] = {
        "name": rule,
        "metric": metric,
        "levels": levels,
        "clear_at": clear_at,
        "asset": asset,
        "group": group,
    }
    given |= {"move": move, "window_seconds": window, "statuses": status or [], "deployment_id": deployment}
    given |= {"chain_id": chain, "cooldown_seconds": cooldown}

    from app.commands import list_rules

    run(lambda settings: list_rules.add_rule(settings, name, given, console))


@rule_commands.command("remove")
def remove_rule(name: _Name, rule: Annotated[str, typer.Argument(metavar="RULE", help="Name of the rule.")]) -> None:
    """Take a rule from a list. Its open episodes end with the next evaluation."""
    from app.commands import list_rules

    run(lambda settings: list_rules.remove_rule(settings, name, rule))


@route_commands.command("set")
def set_route(
    name: _Name,
    channel: _Channel,
    min_severity: Annotated[str, typer.Option(help="info, warning or critical.")] = "info",
    timezone: Annotated[str, typer.Option(help="IANA name; the times below are its.")] = "UTC",
    quiet: Annotated[str | None, typer.Option(help="HH:MM-HH:MM in which nothing is sent.")] = None,
    quiet_override: Annotated[str | None, typer.Option(help="This and worse is sent in quiet hours too.")] = None,
    repeat: Annotated[int | None, typer.Option(help="Seconds between reminders until somebody acknowledges.")] = None,
    digest: Annotated[str | None, typer.Option(help="HH:MM of a daily digest.")] = None,
) -> None:
    """Have a list tell a channel; what was set before is replaced."""
    begin, end = _hours(quiet)
    given: dict[str, object] = {"min_severity": min_severity, "timezone": timezone, "quiet_from": begin}
    given |= {"quiet_to": end, "quiet_override": quiet_override, "repeat_seconds": repeat, "digest_at": digest}

    from app.commands import list_rules

    run(lambda settings: list_rules.set_route(settings, name, channel, given))


@route_commands.command("remove")
def remove_route(name: _Name, channel: _Channel) -> None:
    """Have a list tell a channel nothing any more."""
    from app.commands import list_rules

    run(lambda settings: list_rules.remove_route(settings, name, channel))


def _hours(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    begin, sign, end = text.partition("-")
    if not sign:
        raise Refused("--quiet: must be two times such as 22:00-07:00")
    return begin.strip(), end.strip()
