// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.27;

/// A price feed anybody may set, read the way lending protocols read theirs. Every change is an event and a new
/// round, as on a real chain. While `broken`, each read reverts, as a feed does that was retired or misconfigured.
contract PriceFeed {
    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);
    event BrokenSet(bool broken);

    error FeedIsBroken();

    uint8 public immutable decimals;
    string public description;
    bool public broken;

    int256 private _answer;
    uint256 private _updatedAt;
    uint80 private _round;

    constructor(uint8 decimals_, string memory description_, int256 answer) {
        decimals = decimals_;
        description = description_;
        set(answer);
    }

    modifier whileWorking() {
        if (broken) revert FeedIsBroken();
        _;
    }

    function set(int256 answer) public {
        _answer = answer;
        _updatedAt = block.timestamp;
        _round += 1;
        emit AnswerUpdated(answer, _round, block.timestamp);
    }

    function setBroken(bool broken_) external {
        broken = broken_;
        emit BrokenSet(broken_);
    }

    function latestAnswer() external view whileWorking returns (int256) {
        return _answer;
    }

    function latestTimestamp() external view whileWorking returns (uint256) {
        return _updatedAt;
    }

    function latestRound() external view whileWorking returns (uint256) {
        return _round;
    }

    function latestRoundData()
        external
        view
        whileWorking
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        return (_round, _answer, _updatedAt, _updatedAt, _round);
    }
}
