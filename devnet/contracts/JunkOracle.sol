// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.19;

interface IHonestOracle {
    function price() external view returns (uint256);
}

/// An oracle that passes on another one's price until it is told to misbehave, as anybody's own may.
contract JunkOracle {
    enum Mode {
        Honest,
        Burns,
        Floods,
        Drains,
        Reverts,
        RevertsBare,
        Zero,
        Lies,
        Moody
    }

    IHonestOracle public immutable honest;
    address public immutable morpho;
    Mode public mode;

    constructor(IHonestOracle honest_, address morpho_) {
        honest = honest_;
        morpho = morpho_;
    }

    function set(Mode mode_) external {
        mode = mode_;
    }

    function price() external view returns (uint256) {
        if (mode == Mode.Burns) while (true) {}
        if (mode == Mode.Floods) assembly { return(0, 0x100000) }
        if (mode == Mode.Drains) while (gasleft() > 1000000) {}
        if (mode == Mode.Reverts) revert("no price today");
        if (mode == Mode.RevertsBare) assembly { revert(0, 0) }
        if (mode == Mode.Zero) return 0;
        // tells the contract a hundredth of the price, so that everybody is liquidatable, and others the price
        if (mode == Mode.Lies && msg.sender == morpho) return honest.price() / 100;
        // another answer to whoever gives little gas
        if (mode == Mode.Moody && gasleft() < 5000000) return honest.price() * 2;
        return honest.price();
    }
}
