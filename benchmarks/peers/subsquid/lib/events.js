// What Subsquid's type generator makes of the contract's ABI, for the events that move positions.
const { event, indexed, keccak256 } = require("@subsquid/evm-abi");
const { address, bytes32, uint256 } = require("@subsquid/evm-codec");

const first = { id: indexed(bytes32) };
const paid = { ...first, caller: indexed(address), onBehalf: indexed(address) };
const taken = { ...first, caller: address, onBehalf: indexed(address), receiver: indexed(address) };
const both = { assets: uint256, shares: uint256 };
const assets = { assets: uint256 };

function make(signature, args) {
  return event("0x" + keccak256(signature).toString("hex"), signature, args);
}

module.exports = {
  Supply: make("Supply(bytes32,address,address,uint256,uint256)", { ...paid, ...both }),
  Withdraw: make("Withdraw(bytes32,address,address,address,uint256,uint256)", { ...taken, ...both }),
  Borrow: make("Borrow(bytes32,address,address,address,uint256,uint256)", { ...taken, ...both }),
  Repay: make("Repay(bytes32,address,address,uint256,uint256)", { ...paid, ...both }),
  SupplyCollateral: make("SupplyCollateral(bytes32,address,address,uint256)", { ...paid, ...assets }),
  WithdrawCollateral: make("WithdrawCollateral(bytes32,address,address,address,uint256)", { ...taken, ...assets }),
};
