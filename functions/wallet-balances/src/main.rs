//! `wallet-balances`: consumes its express lane.

use host::{Consumer, Error};
use wallet_balances::handler::WalletBalances;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::wallet_balances::FUNCTION.name).await?;
    let handler = WalletBalances::new(host.table("WALLET_TABLE")?);
    let outbox = host.outbox_without_log()?;
    host.run(handler, outbox).await
}
