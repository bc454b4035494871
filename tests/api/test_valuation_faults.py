"""An adapter that fails while valuing makes that account unknown, and no answer about the others fail."""

from __future__ import annotations

import logging

import pytest

from app.domain.account import AccountSnapshot
from app.domain.market import MarketRecord
from app.domain.risk import Health
from app.valuation import faults
from tests.fakes.pond import DOLLAR, ETHER, PondPriced, pond_account, pond_deployment
from tests.fakes.site import Site, wallet

ALICE, BOB = wallet(1), wallet(2)
REASON = {
    "code": "valuation_failed",
    "detail": "a fault in the protocol's adapter (KeyError); the log says more",
    "market": None,
}

pytestmark = pytest.mark.database


@pytest.fixture(autouse=True)
def nothing_told_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_failed", {})


@pytest.fixture
def failing_for_alice(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = PondPriced.health

    def health(self: PondPriced, snapshot: AccountSnapshot) -> Health:
        if snapshot.key.wallet == ALICE and snapshot.key.deployment_id == "pond-bad":
            raise KeyError("a market nobody thought of")
        return sound(self, snapshot)

    monkeypatch.setattr(PondPriced, "health", health)


async def _populate(site: Site) -> None:
    await site.register(pond_deployment(), pond_deployment(id="pond-bad"))
    await site.commit(1, [pond_account(ALICE, weth=ETHER, usdc_debt=1000 * DOLLAR)])
    bad = [pond_account(who, weth=ETHER, usdc_debt=1000 * DOLLAR, deployment_id="pond-bad") for who in (ALICE, BOB)]
    await site.commit(2, bad, deployment_id="pond-bad")


@pytest.mark.usefixtures("failing_for_alice")
async def test_only_the_account_that_cannot_be_valued_is_unknown(site: Site) -> None:
    await _populate(site)
    unknown, sound = (await site.get(f"/v1/wallets/{ALICE}")).json()["accounts"]
    assert (unknown["deployment_id"], unknown["status"], unknown["reasons"]) == ("pond-bad", "unknown", [REASON])
    assert (sound["deployment_id"], sound["status"]) == ("pond-devnet", "healthy")
    listed = (await site.get("/v1/accounts")).json()["items"]
    assert [item["status"] for item in listed] == ["unknown", "healthy", "healthy"]
    (history,) = (await site.get(f"/v1/wallets/{ALICE}/history", deployment_id="pond-bad")).json()["accounts"]
    assert {point["status"] for point in history["points"]} == {"unknown"}


@pytest.mark.usefixtures("failing_for_alice")
async def test_it_is_told_once_per_deployment_and_block(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    await _populate(site)
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            await site.get(f"/v1/wallets/{ALICE}")
            await site.get("/v1/accounts")
    (told,) = [record for record in caplog.records if "valuation failed" in record.message]
    assert told.exc_info is not None
    assert "pond-bad" in told.message


async def test_records_that_cannot_be_restored_make_its_accounts_unknown(site: Site) -> None:
    await _populate(site)
    wrong = MarketRecord("pond-bad", "pool", "", (1,))
    await site.commit(3, records=[wrong], deployment_id="pond-bad")
    unknown, sound = (await site.get(f"/v1/wallets/{ALICE}")).json()["accounts"]
    assert (unknown["status"], unknown["reasons"][0]["code"]) == ("unknown", "valuation_failed")
    assert sound["status"] == "healthy"
    assert (await site.get("/v1/accounts")).status_code == 200
    assert (await site.get(f"/v1/wallets/{ALICE}/history")).status_code == 200
