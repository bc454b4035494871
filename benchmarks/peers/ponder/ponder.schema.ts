import { onchainTable, primaryKey } from "ponder";

export const position = onchainTable(
  "position",
  (t) => ({
    market: t.hex().notNull(),
    wallet: t.hex().notNull(),
    supplyShares: t.bigint().notNull(),
    borrowShares: t.bigint().notNull(),
    collateral: t.bigint().notNull(),
  }),
  (table) => ({ pk: primaryKey({ columns: [table.market, table.wallet] }) }),
);
