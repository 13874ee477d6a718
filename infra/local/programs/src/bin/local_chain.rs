//! `local-chain LISTEN`: runs the Ethereum node of the local AWS as a process. See `local_programs::chain_node`.

use std::process::ExitCode;

use local_programs::{BoxError, chain_node::ChainNode};

#[tokio::main]
#[expect(clippy::print_stderr, reason = "reports why it cannot run")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local-chain: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "prints its address")]
async fn run() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen] = arguments.as_slice() else {
        return Err("usage: local-chain LISTEN, such as local-chain 127.0.0.1:8545".into());
    };
    let node = ChainNode::start(listen.parse()?).await?;
    println!("an Ethereum node at {}", node.url());
    tokio::signal::ctrl_c().await?;
    Ok(())
}
