"""/v1/accuracy: sums over deployments, what differed, and nothing said where nothing was checked."""

from __future__ import annotations

import pytest

from app.domain.account import AccountKey
from app.domain.audit import AuditCount, AuditFinding, FindingKind
from app.domain.units import WAD
from app.store.audits import load_open_findings, note_audit
from tests.fakes.pond import ETHER, pond_account, pond_deployment
from tests.fakes.site import Site, wallet

POND = pond_deployment().id

pytestmark = pytest.mark.database


async def test_nothing_checked_is_not_called_exact(site: Site) -> None:
    await site.register()
    await site.commit(1)
    found = (await site.get("/v1/accuracy")).json()
    assert found["total"]["checked_accounts"] == 0
    assert found["total"]["exact_share"] is None
    assert found["total"]["worst_relative_error"] is None
    assert found["items"][0]["last_checked_block"] is None
    assert found["findings"] == []


async def test_audits_are_summed_and_their_findings_listed(site: Site) -> None:
    await site.register()
    first = await site.commit(1, [pond_account(wallet(1), weth=ETHER)])
    key = AccountKey(POND, wallet(1))
    finding = AuditFinding(key, FindingKind.STATE, ("supplied_raw weth", "params[0]"), (2**256 - 1, None), (-5, 7))
    async with site.database.write() as session:
        await note_audit(session, first, [AuditCount(POND, 2, 1, 1, 0, 1, WAD // 3 + 1)], [finding], [])
    second = await site.commit(2, bare=True)

    found = (await site.get("/v1/accuracy")).json()
    assert found["total"]["open_findings"] == found["items"][0]["open_findings"] == 1
    async with site.database.write() as session:
        (opened,) = await load_open_findings(session, [POND], 5)
        assert (opened.key, opened.kind) == (key, FindingKind.STATE)
        await note_audit(session, second, [AuditCount(POND, 1, 1, 0, 0, 0, 0)], [], [opened.id])

    found = (await site.get("/v1/accuracy")).json()
    (item,) = found["items"]
    assert (item["checked_accounts"], item["exact_accounts"], item["unreadable"]) == (3, 2, 1)
    assert item["exact_share"] == "0.666666666666666666"
    assert item["worst_relative_error"] == "0.333333333333333334"
    assert (item["last_checked_block"], item["open_findings"]) == (2, 0)
    (said,) = found["findings"]
    assert said["expected"] == [str(2**256 - 1), None]
    assert said["got"] == ["-5", "7"]
    assert (said["block_number"], said["repaired_block"]) == (1, 2)

    await site.drop_above(1)
    found = (await site.get("/v1/accuracy")).json()
    assert found["total"]["checked_accounts"] == 2
    assert found["total"]["open_findings"] == 1
