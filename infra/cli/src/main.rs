//! `millrace`: the operator's tool. What it can do stands in the library.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    millrace::command::run().await
}
