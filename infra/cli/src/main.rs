//! `millrace`: the operator's tool. The library has everything it does.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    millrace::command::run().await
}
