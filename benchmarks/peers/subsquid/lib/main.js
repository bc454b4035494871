const { EvmBatchProcessor } = require("@subsquid/evm-processor");
const { TypeormDatabase } = require("@subsquid/typeorm-store");
const { In } = require("typeorm");
const events = require("./events");
const { Position } = require("./model");

const contract = process.env.PEER_CONTRACT.toLowerCase();
const changes = new Map([
  [events.Supply, (row, { shares }) => { row.supplyShares += shares; }],
  [events.Withdraw, (row, { shares }) => { row.supplyShares -= shares; }],
  [events.Borrow, (row, { shares }) => { row.borrowShares += shares; }],
  [events.Repay, (row, { shares }) => { row.borrowShares -= shares; }],
  [events.SupplyCollateral, (row, { assets }) => { row.collateral += assets; }],
  [events.WithdrawCollateral, (row, { assets }) => { row.collateral -= assets; }],
]);
const byTopic = new Map([...changes].map(([event, change]) => [event.topic, { event, change }]));

const processor = new EvmBatchProcessor()
  .setRpcEndpoint({ url: process.env.PEER_RPC_URL })
  .setFinalityConfirmation(30)
  .setBlockRange({ from: Number(process.env.PEER_START_BLOCK) })
  .setFields({ log: { topics: true, data: true } })
  .addLog({ address: [contract], topic0: [...byTopic.keys()] });

processor.run(new TypeormDatabase({ supportHotBlocks: true }), async (ctx) => {
  const touched = [];
  for (const block of ctx.blocks) {
    for (const log of block.logs) {
      const found = byTopic.get(log.topics[0]);
      if (found === undefined || log.address !== contract) continue;
      const args = found.event.decode(log);
      touched.push({ id: `${args.id}-${args.onBehalf}`, args, change: found.change });
    }
  }
  const ids = [...new Set(touched.map(({ id }) => id))];
  const known = await ctx.store.findBy(Position, { id: In(ids) });
  const rows = new Map(known.map((row) => [row.id, row]));
  for (const { id, args, change } of touched) {
    let row = rows.get(id);
    if (row === undefined) {
      row = new Position({
        id, market: args.id, wallet: args.onBehalf, supplyShares: 0n, borrowShares: 0n, collateral: 0n,
      });
      rows.set(id, row);
    }
    change(row, args);
  }
  await ctx.store.upsert([...rows.values()]);
});
