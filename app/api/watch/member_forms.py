"""Members of watchlists as people write them: addresses in any sound form, CAIP-10, ENS names; and as CSV.

CSV has the columns address, chain_id, label, tags, the tags with semicolons between them, one member a line. What a
spreadsheet would take for a formula has an apostrophe before it; reading takes one away again, so that a list that was
exported is imported as it was.
"""

from __future__ import annotations

import asyncio
import codecs
import csv
import io
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from app.api.frame.addresses import BadAddress, parse_wallet, to_checksum
from app.api.frame.names import NameResolver
from app.api.schemas.watchlists import LineFault, MemberIn, MemberView
from app.domain.chain import Address
from app.domain.watch import Member
from app.errors import Refused, Retryable
from app.store.watch.members import StoredMember

COLUMNS = ("address", "chain_id", "label", "tags")
MOST_FAULTS = 1_000
"""That are told of; beyond them they are only counted."""
_LONGEST_LINE = 4_096
_LINES_AT_ONCE = 500
_NAMES_AT_ONCE = 8
MOST_NAMES = 1_000
"""Of one request: each is a few requests to a node."""
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


@dataclass(slots=True)
class ReadMembers:
    """What was made of lines."""

    members: list[Member] = field(default_factory=list)
    faults: list[LineFault] = field(default_factory=list)
    faulty: int = 0
    """All faulty lines, those that are not told of too."""

    def refuse(self, line: int, fault: str) -> None:
        """Leave a line out, and say why."""
        self.faulty += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(LineFault(line=line, fault=fault))


async def read_members(given: AsyncIterable[tuple[int, MemberIn | str]], resolver: NameResolver | None) -> ReadMembers:
    """The members that lines name. A line is its number with what it holds, or with what is wrong with it.

    Raises:
        Retryable: names cannot be resolved at this moment.
    """
    read = ReadMembers()
    named: list[tuple[int, MemberIn]] = []
    async for line, one in given:
        if isinstance(one, str):
            read.refuse(line, one)
        elif _is_name(one.address):
            named.append((line, one))
        else:
            _take(read, line, one)
    refusal = None
    if resolver is None:
        refusal = "names are not resolved here: give the address (ENS needs a node of its chain)"
    elif len(named) > MOST_NAMES:
        refusal = f"at most {MOST_NAMES:,} names are resolved at once: give the addresses, or fewer names"
    if refusal is not None:
        for line, _ in named:
            read.refuse(line, refusal)
    elif resolver is not None:
        await _take_named(read, named, resolver)
    read.faults.sort(key=lambda fault: fault.line)
    return read


def _is_name(address: str) -> bool:
    """Something with a dot, as no address has: left to the resolver to judge."""
    return "." in address and address[:2] not in ("0x", "0X") and ":" not in address


def _take(read: ReadMembers, line: int, one: MemberIn) -> None:
    try:
        wallet = parse_wallet(one.address)
    except BadAddress as error:
        read.refuse(line, str(error))
        return
    if wallet.chain_id is not None and one.chain_id not in (None, wallet.chain_id):
        read.refuse(line, f"the address names chain {wallet.chain_id}, chain_id says {one.chain_id}")
        return
    chain_id = one.chain_id if wallet.chain_id is None else wallet.chain_id
    given = "" if wallet.chain_id is None else one.address.strip()
    read.members.append(Member(wallet.address, chain_id, one.label, tuple(dict.fromkeys(one.tags)), given))


async def _take_named(read: ReadMembers, named: Sequence[tuple[int, MemberIn]], resolver: NameResolver) -> None:
    """Resolve names, each once, a few at a time."""
    turns = asyncio.Semaphore(_NAMES_AT_ONCE)

    async def resolve(name: str) -> Address | str | None:
        async with turns:
            try:
                return await resolver.resolve(name)
            except Refused as error:
                return str(error)

    names = list(dict.fromkeys(one.address.strip() for _, one in named))
    found = await asyncio.gather(*(resolve(name) for name in names), return_exceptions=True)
    for failure in found:
        if isinstance(failure, Retryable):
            raise failure
    by_name = dict(zip(names, found, strict=True))
    for line, one in named:
        address = by_name[one.address.strip()]
        if isinstance(address, BaseException):
            raise address
        if isinstance(address, Address):
            tags = tuple(dict.fromkeys(one.tags))
            read.members.append(Member(address, one.chain_id, one.label, tags, one.address.strip()))
        else:
            read.refuse(line, address if isinstance(address, str) else "this name has no address")


async def read_csv(chunks: AsyncIterable[bytes]) -> AsyncIterator[tuple[int, MemberIn | str]]:
    """Each line of a CSV file but the header, as it arrives.

    Raises:
        Refused: it is not UTF-8, or its header is not one of ours.
    """
    header: list[str] | None = None
    number = 0
    async for text in _lines(chunks):
        number += 1
        if number % _LINES_AT_ONCE == 0:
            await asyncio.sleep(0)  # whoever else is served has his turn
        if not text.strip():
            continue
        cells = _cells(text)
        if header is None:
            header = _header(cells)
        else:
            yield number, _member(header, cells)


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """Lines of text, without their ends. No cell may hold an end of line: labels and tags are printable."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    rest = ""
    try:
        async for chunk in chunks:
            *whole, rest = (rest + decoder.decode(chunk)).split("\n")
            for line in whole:
                yield line.removesuffix("\r")
            if len(rest) > _LONGEST_LINE:
                raise Refused(f"a line has at most {_LONGEST_LINE} characters")
        rest += decoder.decode(b"", True)
    except UnicodeDecodeError:
        raise Refused("the file has to be UTF-8") from None
    if rest:
        yield rest.removesuffix("\r")


def _cells(line: str) -> list[str] | str:
    try:
        (cells,) = csv.reader([line], strict=True)
    except (csv.Error, ValueError):
        return "not a line of CSV: a quotation mark is missing, or is too many"
    return cells


def _header(cells: list[str] | str) -> list[str]:
    header = [] if isinstance(cells, str) else [cell.strip().lower() for cell in cells]
    if "address" not in header or len(set(header)) < len(header) or not set(header) <= set(COLUMNS):
        raise Refused(f"the first line names the columns: address, and any of {', '.join(COLUMNS[1:])}")
    return header


def _member(header: Sequence[str], cells: list[str] | str) -> MemberIn | str:
    if isinstance(cells, str):
        return cells
    if len(cells) != len(header):
        return f"has {len(cells)} cells; the header names {len(header)}"
    row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
    chain = row.get("chain_id", "")
    if chain and not (chain.isascii() and chain.isdecimal() and len(chain) < 19):
        return "chain_id: not the id of a chain"
    tags = [tag.strip() for tag in _unguarded(row.get("tags", "")).split(";") if tag.strip()]
    try:
        return MemberIn(
            address=row["address"],
            chain_id=int(chain) if chain else None,
            label=_unguarded(row.get("label", "")),
            tags=tags,
        )
    except ValidationError as error:
        return "; ".join(
            f"{fault['loc'][0]}: {str(fault['msg']).removeprefix('Value error, ')}" for fault in error.errors()
        )


def csv_lines(members: Iterable[StoredMember]) -> str:
    """Members as lines of CSV, without the header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for stored in members:
        member = stored.member
        chain = "" if member.chain_id is None else member.chain_id
        tags = _guarded(";".join(member.tags))
        writer.writerow([to_checksum(member.wallet), chain, _guarded(member.label), tags])
    return text.getvalue()


CSV_HEADER = ",".join(COLUMNS) + "\r\n"


def member_view(stored: StoredMember) -> MemberView:
    """A member as it is shown."""
    member = stored.member
    address = to_checksum(member.wallet)
    return MemberView(
        address=address,
        chain_id=member.chain_id,
        caip10=None if member.chain_id is None else f"eip155:{member.chain_id}:{address}",
        label=member.label,
        tags=list(member.tags),
        given=member.given,
        added_at=stored.added_at,
    )


def _guarded(cell: str) -> str:
    return "'" + cell if _FORMULA.match(cell) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
