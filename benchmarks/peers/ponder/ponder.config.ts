import { createConfig } from "ponder";
import { parseAbi } from "viem";

// The same URL several times over: Ponder limits the requests a second of each of its URLs by itself (20 at first,
// 5 % more at a time), and has no setting that lifts this.
const urls = Array(Number(process.env.PEER_RPC_COPIES ?? "1")).fill(process.env.PEER_RPC_URL);

const abi = parseAbi([
  "event Supply(bytes32 indexed id, address indexed caller, address indexed onBehalf, uint256 assets, uint256 shares)",
  "event Withdraw(bytes32 indexed id, address caller, address indexed onBehalf, address indexed receiver, uint256 assets, uint256 shares)",
  "event Borrow(bytes32 indexed id, address caller, address indexed onBehalf, address indexed receiver, uint256 assets, uint256 shares)",
  "event Repay(bytes32 indexed id, address indexed caller, address indexed onBehalf, uint256 assets, uint256 shares)",
  "event SupplyCollateral(bytes32 indexed id, address indexed caller, address indexed onBehalf, uint256 assets)",
  "event WithdrawCollateral(bytes32 indexed id, address caller, address indexed onBehalf, address indexed receiver, uint256 assets)",
]);

export default createConfig({
  database: { kind: "postgres", connectionString: process.env.PEER_DATABASE_URL },
  chains: {
    local: { id: 31337, rpc: urls.length === 1 ? urls[0] : urls, ws: process.env.PEER_WS_URL },
  },
  contracts: {
    Morpho: {
      abi,
      chain: "local",
      address: process.env.PEER_CONTRACT as `0x${string}`,
      startBlock: Number(process.env.PEER_START_BLOCK),
    },
  },
});
