"""What a rule found something about, as one line of text that names it: how subjects are stored and compared."""

from __future__ import annotations

import re

from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.watch import ChainSubject, MarketSubject, Subject

_ACCOUNT = re.compile(r"account:(.+?):(0x[0-9a-f]{40}):(.*)", re.DOTALL)


def subject_to_text(subject: Subject) -> str:
    """`account:<deployment>:<wallet>:<unit>`, `market:<deployment>` or `chain:<id>`. Two subjects that differ have
    texts that differ."""
    match subject:
        case AccountKey(deployment_id, wallet, unit):
            return f"account:{deployment_id}:{wallet}:{unit}"
        case MarketSubject(deployment_id):
            return f"market:{deployment_id}"
        case ChainSubject(chain_id):
            return f"chain:{chain_id}"


def subject_from_text(text: str) -> Subject:
    """What `subject_to_text` made.

    Raises:
        ValueError: it made no such text.
    """
    kind, _, name = text.partition(":")
    if kind == "market" and name:
        return MarketSubject(name)
    if kind == "chain" and name.isdecimal():
        return ChainSubject(int(name))
    if found := _ACCOUNT.fullmatch(text):
        deployment_id, wallet, unit = found.groups()
        return AccountKey(deployment_id, Address.from_hex(wallet), unit)
    raise ValueError(f"not a subject: {text[:80]!r}")


def wallet_of(subject: Subject) -> Address | None:
    """Whose account it is; None for a market or a chain."""
    return subject.wallet if isinstance(subject, AccountKey) else None
