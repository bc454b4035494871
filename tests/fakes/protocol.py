"""A tiny lending protocol as an Adapter, and the state its contracts hold at one block: the indexer's model.

Contracts speak a private dialect: calldata is a word such as `held` followed by 20-byte arguments, answers are
32-byte words. What matters is kept from the real ones: markets appear while the chain runs and emit from their own
addresses, a holding can exist without any flag, reads can revert, interest accrues between events, the contract
rounds in one of two ways that only a comparison can tell apart, some holdings drift without anybody's doing, others
can be shifted without a log (only a count of all changes gives it away), and the pool can stop answering as itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.domain.account import AccountKey, AccountSnapshot, AccountState, LendingPosition, Unreadable
from app.domain.chain import (
    Address,
    CallResult,
    ContractCall,
    Hash32,
    Log,
    LogFilter,
    ReadPlan,
    Returned,
    Reverted,
)
from app.domain.market import Deployment, Market, MarketRecord
from app.domain.risk import Health, Restoration, RiskAssessment, RiskStatus
from app.domain.units import WAD
from app.errors import Fatal, Refused
from app.protocols.base import (
    AccountTouched,
    Adapter,
    ConfigurationTouched,
    DeploymentState,
    PricedState,
    ProtocolKind,
    RulesTouched,
    Touch,
    Truth,
)

MOVED = Hash32(b"moved".ljust(32, b"\0"))
LISTED = Hash32(b"listed".ljust(32, b"\0"))
REPRICED_RULES = Hash32(b"rules".ljust(32, b"\0"))
TOPICS = frozenset({MOVED, LISTED, REPRICED_RULES})

POOL = Address(b"pool".rjust(20, b"\1"))
SECOND_POOL = Address(b"pool".rjust(20, b"\2"))
"""Another address that answers as the pool does."""
RATE = 7
UNIT = 10**6


# ---------------------------------------------------------------------------------------------- contracts


@dataclass(frozen=True, slots=True)
class Holding:
    """What one wallet has in one market."""

    supplied: int = 0
    borrowed: int = 0
    flag: bool = False
    drifts: bool = False
    """It changes from block to block, with no log."""


@dataclass(frozen=True, slots=True)
class ModelMarket:
    """One market as its contract holds it."""

    price: int | None
    index: int
    updated_at: int
    threshold_bps: int


@dataclass(frozen=True, slots=True)
class ModelState:
    """Everything the contracts hold after one block. Never mutated: a fork shares its past."""

    markets: Mapping[Address, ModelMarket]
    holdings: Mapping[tuple[Address, Address], Holding]
    """(wallet, market) -> holding."""
    rounds_up: bool = False
    broken: frozenset[Address] = frozenset()
    """Wallets whose holdings cannot be read."""
    changes: int = 0
    """How often a holding was set or shifted, drifting left out."""
    refusing: frozenset[Address] = frozenset()
    """Pools whose own views answer nothing, as an address without code does."""

    def answer(self, call: ContractCall, timestamp: int) -> CallResult:
        """What the called contract returns at a block with this `timestamp`."""
        verb, argument = call.data[:6].rstrip(b"\0"), call.data[6:]
        if verb == b"held":
            if Address(argument) in self.broken or call.target not in self.markets:
                return Reverted(b"")
            held = self.holdings.get((Address(argument), call.target), Holding())
            return _words(held.supplied, held.borrowed, held.flag + 2 * held.drifts)
        if call.target not in (POOL, SECOND_POOL) or call.target in self.refusing:
            return Returned(b"")
        if verb == b"count":
            return _words(self.changes)
        if verb == b"list":
            return Returned(b"".join(m.rjust(32, b"\0") for m in self.markets))
        if verb == b"truth":
            return self._truth(Address(argument), timestamp)
        if verb == b"flags":
            flagged = [m for (w, m), h in self.holdings.items() if w == argument and (h.flag or h.borrowed)]
            return Returned(b"".join(m.rjust(32, b"\0") for m in sorted(flagged)))
        market = self.markets.get(Address(argument))
        if market is None or (verb == b"price" and market.price is None):
            return Reverted(b"")
        if verb == b"price":
            return _words(market.price or 0)
        if verb == b"index":
            return _words(market.index, market.updated_at)
        assert verb == b"config"
        return _words(market.threshold_bps)

    def _truth(self, wallet: Address, timestamp: int) -> CallResult:
        collateral = debt = 0
        for (owner, address), held in self.holdings.items():
            market = self.markets[address]
            if owner != wallet or not (held.flag or held.borrowed):
                continue
            if market.price is None:
                return Reverted(b"")
            index = market.index + RATE * (timestamp - market.updated_at)
            if held.flag:
                collateral += held.supplied * index * market.price // UNIT
            debt += _value(held.borrowed * index * market.price, self.rounds_up)
        return _words(collateral, debt)


def _value(product: int, rounds_up: bool) -> int:
    return -(-product // UNIT) if rounds_up else product // UNIT


def _words(*values: int) -> Returned:
    return Returned(b"".join(value.to_bytes(32, "big") for value in values))


def _split(result: CallResult, count: int | None = None) -> list[int] | None:
    """The words of an answer; None when it reverted or has another length."""
    if isinstance(result, Reverted) or len(result.data) % 32:
        return None
    words = [int.from_bytes(result.data[i : i + 32], "big") for i in range(0, len(result.data), 32)]
    return words if count is None or len(words) == count else None


def _call(target: Address, verb: bytes, argument: bytes = b"") -> ContractCall:
    return ContractCall(target, verb.ljust(6, b"\0") + argument)


def _address(word: int) -> Address:
    return Address(word.to_bytes(20, "big"))


# ------------------------------------------------------------------------------------------------ adapter


@dataclass(frozen=True, slots=True)
class ToyState(DeploymentState):
    """The adapter's side: what was read, as plain values."""

    deployment: Deployment
    prices: Mapping[str, int | None]
    indices: Mapping[str, tuple[int, int] | None]
    thresholds: Mapping[str, int | None]
    """By market code, in the pool's own order; the keys of all three are the same."""
    rounds_up: bool = False
    samples: int = 0
    matches: int = 0
    changes: int = 0
    value_decimals = 6
    value_currency = "USD"
    accounts_move = True
    accounts_change_unseen = True

    def markets(self) -> tuple[Market, ...]:
        return tuple(
            Market(self.deployment.id, code, Address.from_hex(code), f"T{code[-2:]}", 6) for code in self.thresholds
        )

    def records(self) -> tuple[MarketRecord, ...]:
        own = self.deployment.id
        rows = [MarketRecord(own, "price", code, (price,)) for code, price in self.prices.items()]
        rows += [MarketRecord(own, "index", code, pair or (None, None)) for code, pair in self.indices.items()]
        rows += [
            MarketRecord(own, "config", code, (place, threshold))
            for place, (code, threshold) in enumerate(self.thresholds.items())
        ]
        rows.append(MarketRecord(own, "changes", "", (self.changes,)))
        return (*rows, MarketRecord(own, "rules", "", (int(self.rounds_up), self.samples, self.matches)))

    def log_filter(self) -> LogFilter:
        emitters = {self.deployment.address, *(Address.from_hex(code) for code in self.thresholds)}
        return LogFilter(frozenset(emitters), TOPICS)

    def touched(self, log: Log) -> tuple[Touch, ...]:
        if not self.log_filter().matches(log):
            return ()
        if log.topics[0] == MOVED and len(log.topics) == 2:
            return (AccountTouched(AccountKey(self.deployment.id, Address(log.topics[1][12:])), str(log.address)),)
        if log.topics[0] == REPRICED_RULES:
            return (RulesTouched(),)
        return (ConfigurationTouched(),)

    def read_next(self, *, full: bool) -> ReadPlan[DeploymentState]:
        if full:
            return _read_all(self.deployment, self)
        return self._read_moving()

    def _read_moving(self) -> ReadPlan[DeploymentState]:
        prices, indices, changes = yield from _read_moving(self.deployment, list(self.thresholds))
        return replace(self, prices=prices, indices=indices, changes=changes)

    def read_account(self, key: AccountKey, block_number: int, markets: frozenset[str]) -> ReadPlan[AccountState]:
        flagged = _split((yield [_call(self.deployment.address, b"flags", key.wallet)])[0])
        if flagged is None:
            return Unreadable(key, block_number, "the pool does not answer for this wallet")
        # a hint may name a market that only a dropped fork had: it is not asked
        codes = sorted((markets & self.thresholds.keys()) | {str(_address(word)) for word in flagged})
        answers = yield [_call(Address.from_hex(code), b"held", key.wallet) for code in codes]
        positions, drifting = [], 0
        for code, answer in zip(codes, answers, strict=True):
            words = _split(answer, 3)
            if words is None:
                return Unreadable(key, block_number, "a holding cannot be read")
            position = LendingPosition(code, words[0], words[1], bool(words[2] & 1))
            drifting += words[2] >> 1
            if not position.is_empty:
                positions.append(position)
        return AccountSnapshot(key, block_number, tuple(positions), (len(flagged), drifting))

    def moves_by_itself(self, snapshot: AccountSnapshot) -> bool:
        return snapshot.params[1] > 0

    def may_have_changed_unseen(self, before: DeploymentState, *, logs: Sequence[Log] | None) -> bool:
        assert isinstance(before, ToyState)
        return self.changes != before.changes and not logs

    def may_change_unseen(self, snapshot: AccountSnapshot) -> bool:
        return bool(snapshot.positions)

    def read_truth(self, key: AccountKey) -> ReadPlan[Truth | None]:
        words = _split((yield [_call(self.deployment.address, b"truth", key.wallet)])[0], 2)
        return tuple(words) if words is not None else None

    def candidates(self) -> tuple[DeploymentState, ...]:
        return (self, replace(self, rounds_up=not self.rounds_up))

    def confirmed(self, *, samples: int, matches: int) -> DeploymentState:
        return replace(self, samples=samples, matches=matches)

    @property
    def confirmed_samples(self) -> int | None:
        return self.samples if self.samples and self.samples == self.matches else None

    def at(self, timestamp: int, block_number: int) -> PricedState:
        return ToyPriced(self, timestamp)


@dataclass(frozen=True, slots=True)
class ToyPriced(PricedState):
    """Interest accrued to `timestamp`."""

    state: ToyState
    timestamp: int

    def truth(self, snapshot: AccountSnapshot) -> Truth | None:
        collateral = debt = 0
        for held in snapshot.positions:
            if not (held.is_collateral or held.borrowed_raw):
                continue
            price, pair = self.state.prices[held.market], self.state.indices[held.market]
            if price is None or pair is None:
                return None
            index = pair[0] + RATE * (self.timestamp - pair[1])
            if held.is_collateral:
                collateral += held.supplied_raw * index * price // UNIT
            debt += _value(held.borrowed_raw * index * price, self.state.rounds_up)
        return collateral, debt

    def health(self, snapshot: AccountSnapshot) -> Health:
        truth = self.truth(snapshot)
        if truth is None:
            return Health(RiskStatus.UNKNOWN, None, None, None)
        collateral, debt = truth
        if not debt:
            return Health(RiskStatus.NO_DEBT, None, collateral, debt)
        status = RiskStatus.LIQUIDATABLE if collateral < debt else RiskStatus.HEALTHY
        return Health(status, collateral * WAD // debt, collateral, debt)

    def assess(self, snapshot: AccountSnapshot) -> RiskAssessment:
        return RiskAssessment(RiskStatus.UNKNOWN, ())

    def restoration(self, snapshot: AccountSnapshot, target_health_wad: int) -> Restoration:
        return Restoration(target_health_wad, (), ())

    def with_price(self, market: str, price: int) -> PricedState:
        return replace(self, state=replace(self.state, prices={**self.state.prices, market: price}))


def _read_moving(
    deployment: Deployment, codes: Sequence[str]
) -> ReadPlan[tuple[dict[str, int | None], dict[str, tuple[int, int] | None], int]]:
    verbs = [(verb, code) for verb in (b"price", b"index") for code in codes]
    questions = [_call(deployment.address, verb, Address.from_hex(code)) for verb, code in verbs]
    count, *answers = yield [_call(deployment.address, b"count"), *questions]
    counted = _split(count, 1)
    if counted is None:
        raise Refused(f"{deployment.id}: the pool at {deployment.address} does not count its changes")
    prices: dict[str, int | None] = {}
    indices: dict[str, tuple[int, int] | None] = {}
    for (verb, code), answer in zip(verbs, answers, strict=True):
        if verb == b"price":
            words = _split(answer, 1)
            prices[code] = words[0] if words else None
        else:
            words = _split(answer, 2)
            indices[code] = (words[0], words[1]) if words else None
    return prices, indices, counted[0]


def _read_all(deployment: Deployment, before: ToyState | None) -> ReadPlan[DeploymentState]:
    listed = _split((yield [_call(deployment.address, b"list")])[0])
    if not listed:
        raise Refused(f"{deployment.id}: the pool at {deployment.address} lists no markets")
    codes = [str(_address(word)) for word in listed]
    answers = yield [_call(deployment.address, b"config", Address.from_hex(code)) for code in codes]
    thresholds = {
        code: words[0] if (words := _split(answer, 1)) else None for code, answer in zip(codes, answers, strict=True)
    }
    prices, indices, changes = yield from _read_moving(deployment, codes)
    if before is None:
        return ToyState(deployment, prices, indices, thresholds, changes=changes)
    return replace(before, prices=prices, indices=indices, thresholds=thresholds, changes=changes)


class ToyAdapter(Adapter):
    """The model protocol's code."""

    slug = "toy"
    name = "Toy"
    kind = ProtocolKind.LENDING
    account_fields = ("flagged", "drifting")

    def deployments(self) -> Sequence[Deployment]:
        return ()

    def read_state(self, deployment: Deployment) -> ReadPlan[DeploymentState]:
        return _read_all(deployment, None)

    def restore_state(
        self, deployment: Deployment, markets: Sequence[Market], records: Sequence[MarketRecord]
    ) -> DeploymentState:
        by_kind: dict[str, dict[str, tuple[int | None, ...]]] = {}
        for kind in ("price", "index", "config", "rules", "changes"):
            by_kind[kind] = {record.subject: record.values for record in records if record.kind == kind}
        if not by_kind["rules"]:
            raise Fatal(f"{deployment.id}: no rules among the records")
        in_order = sorted(by_kind["config"].items(), key=lambda item: item[1][0] or 0)
        rules = [value or 0 for value in by_kind["rules"][""]]
        return ToyState(
            deployment,
            prices={code: by_kind["price"][code][0] for code, _ in in_order},
            indices={code: _pair(by_kind["index"][code]) for code, _ in in_order},
            thresholds={code: values[1] for code, values in in_order},
            rounds_up=bool(rules[0]),
            samples=rules[1],
            matches=rules[2],
            changes=by_kind["changes"][""][0] or 0,
        )


def _pair(values: tuple[int | None, ...]) -> tuple[int, int] | None:
    first, second = values
    return None if first is None or second is None else (first, second)


def toy_deployment(**overrides: object) -> Deployment:
    """The model pool as a deployment on the devnet's chain id."""
    fields: dict[str, object] = {
        "id": "toy-devnet",
        "chain_id": 31337,
        "protocol": "toy",
        "name": "Toy (devnet)",
        "address": POOL,
        "start_block": 1,
    }
    return Deployment(**{**fields, **overrides})  # type: ignore[arg-type]
