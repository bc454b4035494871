// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.27;

interface ICometToken {
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

interface ICometFeed {
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80);
}

/// A market shaped like a Comet: one base asset lent against several collaterals. Written from the published interface
/// and formulas, to answer the calls a reader of Comets makes and to keep principals and indices as they do. What it
/// leaves out: rewards, managers, pausing, upgrades, buying the collateral it has seized.
contract CometMarket {
    event Supply(address indexed from, address indexed dst, uint256 amount);
    event Withdraw(address indexed src, address indexed to, uint256 amount);
    event Transfer(address indexed from, address indexed to, uint256 amount);
    event SupplyCollateral(address indexed from, address indexed dst, address indexed asset, uint256 amount);
    event WithdrawCollateral(address indexed src, address indexed to, address indexed asset, uint256 amount);
    event TransferCollateral(address indexed from, address indexed to, address indexed asset, uint256 amount);
    event AbsorbDebt(address indexed absorber, address indexed borrower, uint256 basePaidOut, uint256 usdValue);
    event AbsorbCollateral(
        address indexed absorber,
        address indexed borrower,
        address indexed asset,
        uint256 collateralAbsorbed,
        uint256 usdValue
    );

    error BadAsset();
    error BadPrice();
    error BorrowTooSmall();
    error NotCollateralized();
    error NotLiquidatable();
    error SupplyCapExceeded();

    struct AssetInfo {
        uint8 offset;
        address asset;
        address priceFeed;
        uint64 scale;
        uint64 borrowCollateralFactor;
        uint64 liquidateCollateralFactor;
        uint64 liquidationFactor;
        uint128 supplyCap;
    }

    struct UserBasic {
        int104 principal;
        uint64 baseTrackingIndex;
        uint64 baseTrackingAccrued;
        uint16 assetsIn;
        uint8 _reserved;
    }

    struct UserCollateral {
        uint128 balance;
        uint128 _reserved;
    }

    struct TotalsBasic {
        uint64 baseSupplyIndex;
        uint64 baseBorrowIndex;
        uint64 trackingSupplyIndex;
        uint64 trackingBorrowIndex;
        uint104 totalSupplyBase;
        uint104 totalBorrowBase;
        uint40 lastAccrualTime;
        uint8 pauseFlags;
    }

    uint256 private constant INDEX = 1e15;
    uint256 private constant FACTOR = 1e18;

    address public immutable baseToken;
    address public immutable baseTokenPriceFeed;
    uint256 public immutable baseScale;
    uint256 public immutable baseBorrowMin;
    uint256 public supplyKink;
    uint256 public supplyPerSecondInterestRateBase;
    uint256 public supplyPerSecondInterestRateSlopeLow;
    uint256 public supplyPerSecondInterestRateSlopeHigh;
    uint256 public borrowKink;
    uint256 public borrowPerSecondInterestRateBase;
    uint256 public borrowPerSecondInterestRateSlopeLow;
    uint256 public borrowPerSecondInterestRateSlopeHigh;

    TotalsBasic public totalsBasic;
    mapping(address => UserBasic) public userBasic;
    mapping(address => mapping(address => UserCollateral)) public userCollateral;
    mapping(address => uint256) public totalCollateral;
    AssetInfo[] private _assets;

    /// `curves`: kink, base, low and high slope per second, of supplying and then of borrowing.
    constructor(
        address base,
        address baseFeed,
        uint256 scale,
        uint256 borrowMin,
        uint256[8] memory curves,
        AssetInfo[] memory collaterals
    ) {
        (baseToken, baseTokenPriceFeed, baseScale, baseBorrowMin) = (base, baseFeed, scale, borrowMin);
        (supplyKink, supplyPerSecondInterestRateBase) = (curves[0], curves[1]);
        (supplyPerSecondInterestRateSlopeLow, supplyPerSecondInterestRateSlopeHigh) = (curves[2], curves[3]);
        (borrowKink, borrowPerSecondInterestRateBase) = (curves[4], curves[5]);
        (borrowPerSecondInterestRateSlopeLow, borrowPerSecondInterestRateSlopeHigh) = (curves[6], curves[7]);
        for (uint256 i; i < collaterals.length; i++) _assets.push(collaterals[i]);
        totalsBasic.baseSupplyIndex = uint64(INDEX);
        totalsBasic.baseBorrowIndex = uint64(INDEX);
        totalsBasic.lastAccrualTime = uint40(block.timestamp);
    }

    // ---- what users do

    function supply(address asset, uint256 amount) external {
        supplyTo(msg.sender, asset, amount);
    }

    function supplyTo(address dst, address asset, uint256 amount) public {
        require(ICometToken(asset).transferFrom(msg.sender, address(this), amount));
        if (asset == baseToken) {
            _accrue();
            int256 added = _setBalance(dst, _balance(dst) + int256(amount));
            emit Supply(msg.sender, dst, amount);
            if (added > 0) emit Transfer(address(0), dst, _presentSupply(uint256(added)));
        } else {
            AssetInfo memory info = _infoOf(asset);
            totalCollateral[asset] += amount;
            if (totalCollateral[asset] > info.supplyCap) revert SupplyCapExceeded();
            _setCollateral(dst, info, userCollateral[dst][asset].balance + uint128(amount));
            emit SupplyCollateral(msg.sender, dst, asset, amount);
        }
    }

    function withdraw(address asset, uint256 amount) external {
        if (asset == baseToken) {
            _accrue();
            int256 added = _setBalance(msg.sender, _balance(msg.sender) - int256(amount));
            _requireMayBorrow(msg.sender);
            emit Withdraw(msg.sender, msg.sender, amount);
            if (added < 0) emit Transfer(msg.sender, address(0), _presentSupply(uint256(-added)));
        } else {
            _setCollateral(msg.sender, _infoOf(asset), userCollateral[msg.sender][asset].balance - uint128(amount));
            totalCollateral[asset] -= amount;
            if (!isBorrowCollateralized(msg.sender)) revert NotCollateralized();
            emit WithdrawCollateral(msg.sender, msg.sender, asset, amount);
        }
        require(ICometToken(asset).transfer(msg.sender, amount));
    }

    /// Base moves from one balance to another. `Transfer` tells of supplied base only: what a debt grows or shrinks by
    /// is written without an event.
    function transfer(address dst, uint256 amount) external returns (bool) {
        _accrue();
        int256 from = _setBalance(msg.sender, _balance(msg.sender) - int256(amount));
        int256 to = _setBalance(dst, _balance(dst) + int256(amount));
        _requireMayBorrow(msg.sender);
        if (from < 0) emit Transfer(msg.sender, address(0), _presentSupply(uint256(-from)));
        if (to > 0) emit Transfer(address(0), dst, _presentSupply(uint256(to)));
        return true;
    }

    function transferAsset(address dst, address asset, uint256 amount) external {
        AssetInfo memory info = _infoOf(asset);
        _setCollateral(msg.sender, info, userCollateral[msg.sender][asset].balance - uint128(amount));
        _setCollateral(dst, info, userCollateral[dst][asset].balance + uint128(amount));
        if (!isBorrowCollateralized(msg.sender)) revert NotCollateralized();
        emit TransferCollateral(msg.sender, dst, asset, amount);
    }

    function absorb(address absorber, address[] calldata accounts) external {
        _accrue();
        for (uint256 i; i < accounts.length; i++) _absorb(absorber, accounts[i]);
    }

    /// Accrues interest and tells nobody, as claiming rewards does.
    function accrueAccount(address) external {
        _accrue();
    }

    // ---- what readers ask

    function numAssets() external view returns (uint8) {
        return uint8(_assets.length);
    }

    function getAssetInfo(uint8 i) external view returns (AssetInfo memory) {
        if (i >= _assets.length) revert BadAsset();
        return _assets[i];
    }

    function getPrice(address feed) public view returns (uint256) {
        (, int256 answer, , , ) = ICometFeed(feed).latestRoundData();
        if (answer <= 0) revert BadPrice();
        return uint256(answer);
    }

    /// By the stored indices, as the next is.
    function isBorrowCollateralized(address account) public view returns (bool) {
        return _isCarried(account, true);
    }

    function isLiquidatable(address account) public view returns (bool) {
        return !_isCarried(account, false);
    }

    /// By indices accrued to this block, as the next is.
    function balanceOf(address account) external view returns (uint256) {
        (uint256 index, ) = _accruedIndices();
        int256 principal = userBasic[account].principal;
        return principal > 0 ? (uint256(principal) * index) / INDEX : 0;
    }

    function borrowBalanceOf(address account) external view returns (uint256) {
        (, uint256 index) = _accruedIndices();
        int256 principal = userBasic[account].principal;
        return principal < 0 ? (uint256(-principal) * index) / INDEX : 0;
    }

    function getUtilization() public view returns (uint256) {
        uint256 supplied = (uint256(totalsBasic.totalSupplyBase) * totalsBasic.baseSupplyIndex) / INDEX;
        uint256 borrowed = (uint256(totalsBasic.totalBorrowBase) * totalsBasic.baseBorrowIndex) / INDEX;
        return supplied == 0 ? 0 : (borrowed * FACTOR) / supplied;
    }

    // ---- interest

    function _accruedIndices() private view returns (uint256 supplyIndex, uint256 borrowIndex) {
        (supplyIndex, borrowIndex) = (totalsBasic.baseSupplyIndex, totalsBasic.baseBorrowIndex);
        uint256 elapsed = block.timestamp - totalsBasic.lastAccrualTime;
        if (elapsed == 0) return (supplyIndex, borrowIndex);
        uint256 used = getUtilization();
        uint256 supplyRate = _rate(
            used,
            supplyKink,
            supplyPerSecondInterestRateBase,
            supplyPerSecondInterestRateSlopeLow,
            supplyPerSecondInterestRateSlopeHigh
        );
        uint256 borrowRate = _rate(
            used,
            borrowKink,
            borrowPerSecondInterestRateBase,
            borrowPerSecondInterestRateSlopeLow,
            borrowPerSecondInterestRateSlopeHigh
        );
        supplyIndex += (supplyIndex * (supplyRate * elapsed)) / FACTOR;
        borrowIndex += (borrowIndex * (borrowRate * elapsed)) / FACTOR;
    }

    function _rate(
        uint256 used,
        uint256 kink,
        uint256 base,
        uint256 low,
        uint256 high
    ) private pure returns (uint256) {
        if (used <= kink) return base + (low * used) / FACTOR;
        return base + (low * kink) / FACTOR + (high * (used - kink)) / FACTOR;
    }

    function _accrue() private {
        (uint256 supplyIndex, uint256 borrowIndex) = _accruedIndices();
        totalsBasic.baseSupplyIndex = uint64(supplyIndex);
        totalsBasic.baseBorrowIndex = uint64(borrowIndex);
        totalsBasic.lastAccrualTime = uint40(block.timestamp);
    }

    // ---- balances

    function _presentSupply(uint256 principal) private view returns (uint256) {
        return (principal * totalsBasic.baseSupplyIndex) / INDEX;
    }

    /// Signed assets behind a principal by the stored indices, rounded towards zero.
    function _balance(address account) private view returns (int256) {
        int256 principal = userBasic[account].principal;
        if (principal >= 0) return int256(_presentSupply(uint256(principal)));
        return -int256((uint256(-principal) * totalsBasic.baseBorrowIndex) / INDEX);
    }

    /// Write a balance as a principal: supplies rounded down, debts up. Returns by how much the supplied principal
    /// grew, signed.
    function _setBalance(address account, int256 balance) private returns (int256 added) {
        int256 before = userBasic[account].principal;
        int256 principal;
        if (balance >= 0) {
            principal = int256((uint256(balance) * INDEX) / totalsBasic.baseSupplyIndex);
        } else {
            uint256 index = totalsBasic.baseBorrowIndex;
            principal = -int256((uint256(-balance) * INDEX + index - 1) / index);
        }
        added = (principal > 0 ? principal : int256(0)) - (before > 0 ? before : int256(0));
        int256 owed = (principal < 0 ? -principal : int256(0)) - (before < 0 ? -before : int256(0));
        totalsBasic.totalSupplyBase = uint104(uint256(int256(uint256(totalsBasic.totalSupplyBase)) + added));
        totalsBasic.totalBorrowBase = uint104(uint256(int256(uint256(totalsBasic.totalBorrowBase)) + owed));
        userBasic[account].principal = int104(principal);
    }

    function _setCollateral(address account, AssetInfo memory info, uint128 balance) private {
        UserBasic storage user = userBasic[account];
        uint256 flags = user.assetsIn | (uint256(user._reserved) << 16);
        uint256 bit = 1 << info.offset;
        flags = balance == 0 ? flags & ~bit : flags | bit;
        user.assetsIn = uint16(flags);
        user._reserved = uint8(flags >> 16);
        userCollateral[account][info.asset].balance = balance;
    }

    function _requireMayBorrow(address account) private view {
        int256 balance = _balance(account);
        if (balance >= 0) return;
        if (uint256(-balance) < baseBorrowMin) revert BorrowTooSmall();
        if (!isBorrowCollateralized(account)) revert NotCollateralized();
    }

    // ---- solvency

    /// Whether the collaterals, in their order and no further than needed, carry the debt.
    function _isCarried(address account, bool borrowing) private view returns (bool) {
        UserBasic memory user = userBasic[account];
        if (user.principal >= 0) return true;
        uint256 flags = user.assetsIn | (uint256(user._reserved) << 16);
        int256 liquidity = (_balance(account) * int256(getPrice(baseTokenPriceFeed))) / int256(baseScale);
        for (uint256 i; i < _assets.length; i++) {
            if (flags & (1 << i) == 0) continue;
            if (liquidity >= 0) return true;
            AssetInfo memory info = _assets[i];
            uint256 factor = borrowing ? info.borrowCollateralFactor : info.liquidateCollateralFactor;
            liquidity += int256((_value(account, info) * factor) / FACTOR);
        }
        return liquidity >= 0;
    }

    function _value(address account, AssetInfo memory info) private view returns (uint256) {
        return (uint256(userCollateral[account][info.asset].balance) * getPrice(info.priceFeed)) / info.scale;
    }

    /// All collateral is taken at its liquidation factor; what is left over the debt becomes a supply.
    function _absorb(address absorber, address account) private {
        if (!isLiquidatable(account)) revert NotLiquidatable();
        uint256 flags = userBasic[account].assetsIn | (uint256(userBasic[account]._reserved) << 16);
        uint256 credit;
        for (uint256 i; i < _assets.length; i++) {
            if (flags & (1 << i) == 0) continue;
            AssetInfo memory info = _assets[i];
            uint256 seized = userCollateral[account][info.asset].balance;
            uint256 value = _value(account, info);
            credit += (value * info.liquidationFactor) / FACTOR;
            totalCollateral[info.asset] -= seized;
            _setCollateral(account, info, 0);
            emit AbsorbCollateral(absorber, account, info.asset, seized, value);
        }
        uint256 price = getPrice(baseTokenPriceFeed);
        int256 before = _balance(account);
        int256 balance = before + int256((credit * baseScale) / price);
        if (balance < 0) balance = 0;
        int256 added = _setBalance(account, balance);
        uint256 paid = uint256(balance - before);
        emit AbsorbDebt(absorber, account, paid, (paid * price) / baseScale);
        if (added > 0) emit Transfer(address(0), account, _presentSupply(uint256(added)));
    }

    function _infoOf(address asset) private view returns (AssetInfo memory) {
        for (uint256 i; i < _assets.length; i++) {
            if (_assets[i].asset == asset) return _assets[i];
        }
        revert BadAsset();
    }
}
