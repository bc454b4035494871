// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.19;

interface IPriceFeed {
    function latestAnswer() external view returns (int256);
}

/// An oracle as Morpho Blue's markets want it, over two of this devnet's price feeds: loan token units for one
/// collateral token unit, times 1e36. A pinned price, while there is one, stands instead of the feeds'.
contract FeedOracle {
    event Pinned(uint256 price);

    uint256 public pinned;
    IPriceFeed public immutable collateralFeed;
    IPriceFeed public immutable loanFeed;
    uint256 public immutable scale;

    constructor(IPriceFeed collateralFeed_, IPriceFeed loanFeed_, uint256 collateralDecimals, uint256 loanDecimals) {
        collateralFeed = collateralFeed_;
        loanFeed = loanFeed_;
        scale = 10 ** (36 + loanDecimals - collateralDecimals);
    }

    function pin(uint256 price_) external {
        pinned = price_;
        emit Pinned(price_);
    }

    function price() external view returns (uint256) {
        if (pinned != 0) return pinned;
        return (uint256(collateralFeed.latestAnswer()) * scale) / uint256(loanFeed.latestAnswer());
    }
}
