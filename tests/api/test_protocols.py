"""/v1/protocols: the registry, whatever is followed; and where what is followed is from."""

from __future__ import annotations

import pytest

from app.api.deployments import built_in
from app.api.protocols import markdown, protocols_view
from app.protocols.registry import adapters
from tests.fakes.pond import pond_deployment
from tests.fakes.site import Site


@pytest.mark.database
async def test_the_registry_is_answered_whatever_is_followed_and_stays_the_same(site: Site) -> None:
    answer = await site.get("/v1/protocols")
    assert answer.status_code == 200
    items = {item["protocol"]: item for item in answer.json()["items"]}
    assert items.keys() == adapters().keys()
    aave = items["aave-v3"]
    assert aave["coverage"]["exact"] == list(adapters()["aave-v3"].coverage.exact)
    (arbitrum,) = (one for one in aave["deployments"] if one["id"] == "aave-v3-arbitrum")
    assert arbitrum["address"] == "0x794a61358D6845594F94dc1DB02A252b5b4814aD"
    assert (arbitrum["followed_by_default"], arbitrum["on_request_reason"]) == (True, None)
    (venus,) = (one for one in items["compound-v2"]["deployments"] if one["id"] == "venus-core-bnb")
    assert not venus["followed_by_default"]
    assert venus["on_request_reason"]
    again = await site.client.get("/v1/protocols", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.database
async def test_what_is_followed_says_where_it_is_from_unless_it_is_of_ones_own_file(site: Site) -> None:
    (benqi,) = (one for one in built_in() if one.id == "benqi-avalanche")
    await site.register(benqi, pond_deployment())
    said = {item["id"]: item["source"] for item in (await site.get("/v1/deployments")).json()["items"]}
    assert said == {"benqi-avalanche": benqi.source, "pond-devnet": None}


def test_the_lists_hold_deployments_of_ones_own_file_and_say_where_none_is_built_in() -> None:
    text = markdown(protocols_view([adapters()["aave-v3"]], [pond_deployment(id="mine", protocol="aave-v3")]))
    assert "| `mine` |" in text
    assert text.startswith("## Aave V3 (`aave-v3`)\n\n**Exact**\n\n- ")
    assert "No deployment is built in." in markdown(protocols_view([adapters()["aave-v3"]], []))
