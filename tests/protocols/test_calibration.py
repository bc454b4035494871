from __future__ import annotations

from dataclasses import replace

from app.domain.units import RAY
from app.protocols.aave_v3.rules import ALL_RULES, V3_0, V3_2, V3_6, V3_7, Rules
from app.protocols.aave_v3.state import AaveState
from app.protocols.base import Truth
from app.protocols.calibration import choose_rules
from tests.protocols.aave_v3.builders import DAI, NOW, USDC, WBTC, WETH, make_state, owed, snapshot, supplied

TELLING = (
    snapshot(supplied(WBTC, 10**8), supplied(WETH, 10**18), owed(USDC, 40_000 * 10**6 + 1)),
    snapshot(supplied(WETH, 10**18 + 1), owed(DAI, 10**20 + 1), owed(USDC, 10**6 + 1)),
)


LATER = NOW + 10**6
COSTLY = replace(USDC, borrow_rate=RAY // 5)


def state_under(rules: Rules = V3_6, samples: int | None = None) -> AaveState:
    """A state in which two versions give the same numbers only if they differ in eModes alone."""
    return make_state(WETH, WBTC, COSTLY, DAI, rules=rules, samples=samples)


def samples_under(state: AaveState) -> list[tuple[object, Truth]]:
    priced = state.at(LATER, 1)
    return [(account, priced.truth(account) or ()) for account in TELLING]


def chosen(state: AaveState, samples: object) -> AaveState:
    result = choose_rules(state, samples, LATER, 1)  # type: ignore[arg-type]
    assert isinstance(result, AaveState)
    return result


def test_the_suggested_rules_are_kept_when_they_fit() -> None:
    state = state_under()
    result = chosen(state, samples_under(state))
    assert (result.rules, result.confirmed_samples) == (V3_6, 2)


def test_a_pool_whose_revision_misleads_gets_the_rules_its_numbers_show() -> None:
    state = state_under()
    result = chosen(state, samples_under(state_under(V3_0)))
    assert result.rules is V3_2, "the newest that fits"
    assert result.confirmed_samples == 2
    assert result.raw == state.raw


def test_without_samples_the_suggestion_stays_unchecked() -> None:
    result = chosen(state_under(), [])
    assert (result.rules, result.confirmed_samples, result.confirmation.failed) == (V3_6, 0, False)


def test_one_account_that_fits_no_rules_fails_them_all() -> None:
    state = state_under()
    result = chosen(state, [*samples_under(state), (snapshot(), (1, 2, 3, 4, 5, 6))])
    assert result.confirmation.failed
    assert (result.confirmation.samples, result.confirmation.matches) == (3, 2)
    assert result.rules is V3_6
    assert result.confirmed_samples is None


def test_every_set_of_rules_is_a_candidate_once_the_likeliest_first() -> None:
    candidates = state_under(V3_7, 5).candidates()
    rules = [candidate.rules for candidate in candidates if isinstance(candidate, AaveState)]
    assert rules[0] is V3_6, "pool revision 10 suggests 3.6"
    assert sorted(r.code for r in rules) == sorted(r.code for r in ALL_RULES)
    assert len({r.code for r in ALL_RULES}) == len(ALL_RULES)
