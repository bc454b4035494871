// What Subsquid's code generator makes of `type Position @entity { … }`, as plain JavaScript: nothing to compile.
const { BigIntColumn, Entity, StringColumn } = require("@subsquid/typeorm-store");
const { PrimaryColumn } = require("typeorm");

class Position {
  constructor(props) {
    Object.assign(this, props);
  }
}
PrimaryColumn("varchar")(Position.prototype, "id");
StringColumn({ nullable: false })(Position.prototype, "market");
StringColumn({ nullable: false })(Position.prototype, "wallet");
BigIntColumn({ nullable: false })(Position.prototype, "supplyShares");
BigIntColumn({ nullable: false })(Position.prototype, "borrowShares");
BigIntColumn({ nullable: false })(Position.prototype, "collateral");
Entity()(Position);

module.exports = { Position };
