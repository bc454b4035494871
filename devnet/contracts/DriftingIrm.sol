// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.19;

import {IIrm} from "morpho/src/interfaces/IIrm.sol";
import {MarketParams, Market} from "morpho/src/interfaces/IMorpho.sol";

/// A rate that rises with utilization and with the time since the market was last touched, as an adaptive model's
/// does: whoever takes the rate of another block than his own is found out.
contract DriftingIrm is IIrm {
    function borrowRate(MarketParams memory params, Market memory market) external view returns (uint256) {
        return borrowRateView(params, market);
    }

    function borrowRateView(MarketParams memory, Market memory market) public view returns (uint256) {
        if (market.totalSupplyAssets == 0) return 0;
        uint256 utilization = (uint256(market.totalBorrowAssets) * 1e18) / market.totalSupplyAssets;
        uint256 elapsed = block.timestamp - market.lastUpdate;
        return ((0.01e18 + utilization) * (30 days + elapsed)) / 30 days / 365 days;
    }
}
