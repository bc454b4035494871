// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.19;

import {IMorpho, MarketParams} from "morpho/src/interfaces/IMorpho.sol";
import {MorphoBalancesLib} from "morpho/src/libraries/periphery/MorphoBalancesLib.sol";

/// The protocol's own library of balances with interest up to the block, where it can be called from outside.
contract MorphoLens {
    using MorphoBalancesLib for IMorpho;

    function marketBalances(IMorpho morpho, MarketParams memory params)
        external
        view
        returns (uint256 supplyAssets, uint256 supplyShares, uint256 borrowAssets, uint256 borrowShares)
    {
        return morpho.expectedMarketBalances(params);
    }

    function balances(IMorpho morpho, MarketParams memory params, address user)
        external
        view
        returns (uint256 supplied, uint256 borrowed)
    {
        return (morpho.expectedSupplyAssets(params, user), morpho.expectedBorrowAssets(params, user));
    }
}
