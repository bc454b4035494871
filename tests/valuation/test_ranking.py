from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.account import AccountKey, AccountState, Unreadable
from app.domain.chain import Address
from app.domain.risk import RiskStatus
from app.domain.units import WAD
from app.valuation.assess import RISK_ORDER, StateAt, restore_at
from app.valuation.ranking import Ranked, Ranking
from tests.fakes.perp import LOT, USD6, tide_account
from tests.fakes.pond import DOLLAR, ETHER, PondAdapter, pond_account, pond_deployment, pond_markets, pond_records
from tests.fakes.site import block_ref
from tests.valuation.builders import tide_state


def _state() -> StateAt:
    return restore_at(PondAdapter(), pond_deployment(), pond_markets(), pond_records(), block_ref(1))


def _accounts(debts: list[int | None]) -> list[AccountState]:
    """One account a debt in dollars against 1 ether; None is an unreadable one."""
    accounts: list[AccountState] = []
    for number, debt in enumerate(debts):
        address = Address(number.to_bytes(20, "big"))
        if debt is None:
            accounts.append(Unreadable(AccountKey("pond-devnet", address), 1, "reverts"))
        else:
            accounts.append(pond_account(address, weth=ETHER, usdc_debt=debt * DOLLAR))
    return accounts


_DEBTS = st.lists(st.one_of(st.none(), st.integers(0, 4000)), max_size=30)


@settings(max_examples=60)
@given(debts=_DEBTS, data=st.data())
def test_the_order_is_by_risk_and_never_depends_on_the_input(debts: list[int | None], data: st.DataObject) -> None:
    accounts = _accounts(debts)
    lines = list(Ranking(_state(), accounts).after(None))
    shuffled = data.draw(st.permutations(accounts))
    assert list(Ranking(_state(), shuffled).after(None)) == lines
    assert len(lines) == len(debts)
    keys = [(RISK_ORDER[line.health.status], line.health.health_factor_wad or 0) for line in lines]
    assert keys == sorted(keys)


@settings(max_examples=60)
@given(
    debts=_DEBTS,
    status=st.one_of(st.none(), st.sampled_from(RiskStatus)),
    limit=st.one_of(st.none(), st.integers(0, 3 * WAD)),
)
def test_filters_give_what_filtering_everything_gives_from_any_place(
    debts: list[int | None], status: RiskStatus | None, limit: int | None
) -> None:
    ranking = Ranking(_state(), _accounts(debts))
    everything = list(ranking.after(None))

    def wanted(line: Ranked) -> bool:
        factor = line.health.health_factor_wad
        return status in (None, line.health.status) and (limit is None or (factor is not None and factor <= limit))

    for start in (None, *range(len(everything))):
        place = None if start is None else everything[start].place
        behind = everything if start is None else everything[start + 1 :]
        assert list(ranking.after(place, status, limit)) == [line for line in behind if wanted(line)]


def test_counts_are_by_status() -> None:
    ranking = Ranking(_state(), _accounts([0, 0, 100, 2400, 2401, None]))
    assert dict(ranking.counts) == {
        RiskStatus.NO_DEBT: 2,
        RiskStatus.HEALTHY: 2,
        RiskStatus.LIQUIDATABLE: 1,
        RiskStatus.UNKNOWN: 1,
    }
    assert len(ranking) == 6


def test_without_a_state_everything_is_unknown() -> None:
    ranking = Ranking(None, _accounts([0, 100]))
    assert dict(ranking.counts) == {RiskStatus.UNKNOWN: 2}
    assert all(line.health.collateral_value is None for line in ranking.after(None))


def test_perps_below_zero_come_first_and_within_any_limit_on_the_health_factor() -> None:
    cash = {1: 100, 2: 0, 3: 400, 4: 150}  # dollars behind one long ETH that has lost 200
    accounts = [
        tide_account(Address(number.to_bytes(20, "big")), cash=dollars * USD6, size=LOT, entry=3200 * USD6)
        for number, dollars in cash.items()
    ]
    ranking = Ranking(tide_state(), [*accounts, Unreadable(AccountKey("tide-devnet", Address(b"\x09" * 20)), 1, "no")])
    lines = list(ranking.after(None))
    assert [line.place.wallet[-1] for line in lines] == [2, 1, 4, 9, 3]
    worst = lines[0].health
    assert (worst.status, worst.utilization_wad, worst.debt_value) == (RiskStatus.LIQUIDATABLE, None, None)
    assert worst.health_factor_wad is not None
    assert worst.health_factor_wad < 0
    assert worst.notional_value == 3000 * USD6
    assert [line.place.wallet[-1] for line in ranking.after(None, None, 0)] == [2, 1, 4]
    assert [line.place.wallet[-1] for line in ranking.after(lines[0].place, RiskStatus.LIQUIDATABLE, 0)] == [1, 4]
