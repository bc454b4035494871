"""`waterline key …`: who may use the parts of the API that are not open to all. Keys are made here and nowhere else."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.commands.terminal import complaints, console, run
from app.errors import Refused
from app.settings import Settings

key_commands = typer.Typer(help="Keys of the API: for watchlists, channels, episodes and the log of changes.")


@key_commands.command()
def create(
    name: Annotated[str, typer.Argument(help="Who has it, for lists and the log of changes.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="watch:read, watch:write or ops; may be repeated. Default: the first two.")
    ] = None,
) -> None:
    """Make a key. It is printed once, alone on standard output, and kept as a hash only."""

    async def command(settings: Settings) -> None:
        from app.api.frame.keys import new_key
        from app.commands.delivery import opened
        from app.store.watch.change_log import CLI, changing
        from app.store.watch.keys import Scope, store_key

        _check_name(name)
        known = {one.value: one for one in Scope}
        given = scope or [Scope.WATCH_READ.value, Scope.WATCH_WRITE.value]
        if unknown := [one for one in given if one not in known]:
            raise Refused(f"--scope {unknown[0]}: unknown; there are: {', '.join(known)}")
        made, now = new_key(), int(time.time())
        scopes = {known[one] for one in given}
        async with opened(settings, "waterline key") as database, changing(database, CLI, "key.create", now) as change:
            await store_key(change.session, made.id, name, made.secret_hash, scopes, now)
            change.note(f"key:{made.id}", name=name, scopes=sorted(scopes))
        complaints.print("The key, shown this once:", highlight=False)
        typer.echo(made.text)

    run(command)


@key_commands.command("list")
def list_() -> None:
    """Every key, without its secret part."""

    async def command(settings: Settings) -> None:
        from app.commands.delivery import opened
        from app.store.watch.keys import load_keys

        async with opened(settings, "waterline key") as database, database.read() as session:
            found = await load_keys(session)
        table = Table(header_style="bold")
        for column in ("id", "name", "scopes", "made", "last used", "state"):
            table.add_column(column, overflow="fold")
        for one in found:
            state = "good" if one.revoked_at is None else f"revoked {_day(one.revoked_at)}"
            cells = (one.id, escape(one.name), ", ".join(sorted(one.scopes)), _day(one.created_at))
            table.add_row(*cells, _day(one.last_used_at), state)
        console.print(table)

    run(command)


@key_commands.command()
def revoke(key_id: Annotated[str, typer.Argument(help="Its id: what stands between wl_ and the next _.")]) -> None:
    """End a key at once and for ever."""

    async def command(settings: Settings) -> None:
        from app.commands.delivery import opened
        from app.store.watch.change_log import CLI, changing
        from app.store.watch.keys import revoke_key

        now = int(time.time())
        async with opened(settings, "waterline key") as database, changing(database, CLI, "key.revoke", now) as change:
            if not await revoke_key(change.session, key_id, now):
                raise Refused(f"there is no live key {key_id!r}; see `waterline key list`")
            change.note(f"key:{key_id}")
        console.print(f"{key_id} is revoked")

    run(command)


def _check_name(name: str) -> None:
    if not (0 < len(name) <= 100 and name.isprintable() and name.strip() == name):
        raise Refused("a name has 1 to 100 printable characters, none of them a space at its ends")


def _day(at: int | None) -> str:
    return "never" if at is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(at))
