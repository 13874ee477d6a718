//! `fault-proxy LISTEN UPSTREAM`: the fault proxy as a process, until it is ended. See `local_programs::proxy`. What it changes it signs
//! with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, where they are set.

use std::process::ExitCode;

use aws_sdk_dynamodb::config::Credentials;
use local_programs::{BoxError, proxy::FaultProxy};

#[tokio::main]
#[expect(clippy::print_stderr, reason = "says why it cannot run")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fault-proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "says where it listens")]
#[expect(
    clippy::disallowed_methods,
    reason = "its settings, read once at start"
)]
async fn run() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream] = arguments.as_slice() else {
        return Err("usage: fault-proxy LISTEN UPSTREAM, such as fault-proxy 127.0.0.1:4600 http://127.0.0.1:4566".into());
    };
    let credentials = match (
        std::env::var("AWS_ACCESS_KEY_ID"),
        std::env::var("AWS_SECRET_ACCESS_KEY"),
    ) {
        (Ok(id), Ok(secret)) => Some(Credentials::new(id, secret, None, None, "fault-proxy")),
        _ => None,
    };
    let proxy = FaultProxy::start(listen.parse()?, upstream, credentials).await?;
    println!(
        "{} before {upstream}, steered at {}",
        proxy.endpoint(),
        proxy.control_url()
    );
    tokio::signal::ctrl_c().await?;
    Ok(())
}
