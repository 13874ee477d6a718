//! `fault-proxy LISTEN UPSTREAM`: runs the fault proxy as a process. See `local_programs::proxy`. It signs the requests
//! that it changes with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, if they are set.

use std::process::ExitCode;

use aws_sdk_dynamodb::config::Credentials;
use local_programs::{BoxError, proxy::FaultProxy};

#[tokio::main]
#[expect(clippy::print_stderr, reason = "reports why it cannot run")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fault-proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "prints its address")]
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
        "{} in front of {upstream}, controlled at {}",
        proxy.endpoint(),
        proxy.control_url()
    );
    tokio::signal::ctrl_c().await?;
    Ok(())
}
