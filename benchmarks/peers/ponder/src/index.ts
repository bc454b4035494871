import { type Context, ponder } from "ponder:registry";
import { position } from "ponder:schema";

type Change = { supplyShares?: bigint; borrowShares?: bigint; collateral?: bigint };

async function add(context: Context, market: `0x${string}`, wallet: `0x${string}`, change: Change) {
  const { supplyShares = 0n, borrowShares = 0n, collateral = 0n } = change;
  await context.db
    .insert(position)
    .values({ market, wallet, supplyShares, borrowShares, collateral })
    .onConflictDoUpdate((row) => ({
      supplyShares: row.supplyShares + supplyShares,
      borrowShares: row.borrowShares + borrowShares,
      collateral: row.collateral + collateral,
    }));
}

ponder.on("Morpho:Supply", async ({ event: { args }, context }) => {
  await add(context, args.id, args.onBehalf, { supplyShares: args.shares });
});
ponder.on("Morpho:Withdraw", async ({ event: { args }, context }) => {
  await add(context, args.id, args.onBehalf, { supplyShares: -args.shares });
});
ponder.on("Morpho:Borrow", async ({ event: { args }, context }) => {
  await add(context, args.id, args.onBehalf, { borrowShares: args.shares });
});
ponder.on("Morpho:Repay", async ({ event: { args }, context }) => {
  await add(context, args.id, args.onBehalf, { borrowShares: -args.shares });
});
ponder.on("Morpho:SupplyCollateral", async ({ event: { args }, context }) => {
  await add(context, args.id, args.onBehalf, { collateral: args.assets });
});
ponder.on("Morpho:WithdrawCollateral", async ({ event: { args }, context }) => {
  await add(context, args.id, args.onBehalf, { collateral: -args.assets });
});
