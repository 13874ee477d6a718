//! The example consumer in Python: it subscribes to the bus by itself and handles each event once.

use std::process::Stdio;

use aws_sdk_sqs::Client;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines},
    process::Command,
    time::timeout,
};

use super::*;

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../infra/docs/example_consumer.py"
);

fn example(stack: &Stack, name: &str) -> Result<Command> {
    let mut command = Command::new(stack.env("MILLRACE_PYTHON")?);
    command.args([SCRIPT, "--name", name, "--stack", stack.name()?]);
    for setting in [
        "AWS_ENDPOINT_URL",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ] {
        command.env(setting, stack.env(setting)?);
    }
    Ok(command)
}

/// Waits for a line with this beginning. Returns the rest of the line.
async fn said<R: AsyncRead + Unpin>(
    lines: &mut Lines<BufReader<R>>,
    beginning: &str,
) -> Result<String> {
    let look = async {
        while let Some(line) = lines.next_line().await? {
            if let Some(rest) = line.strip_prefix(beginning) {
                return Ok(rest.to_owned());
            }
        }
        Err(format!("the example ended before it printed {beginning:?}").into())
    };
    timeout(SOON, look)
        .await
        .map_err(|_| format!("the example did not print {beginning:?}"))?
}

#[tokio::test]
async fn the_example_in_another_language_handles_each_event_once() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let name = unique("example");
    let mut consumer = example(&stack, &name)?
        .args(["--types", "member.registered", "--database", ":memory:"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut output = BufReader::new(consumer.stdout.take().ok_or("no output")?).lines();
    let mut errors = BufReader::new(consumer.stderr.take().ok_or("no errors")?).lines();
    let queue = said(&mut output, "listening ").await?;

    let ada = new_member(&stack, "Ada").await?;
    let mut registered = history(&stack, "member", &ada).await?.remove(0);
    let id = registered["event_id"].as_str().ok_or("no id")?.to_owned();
    let handled = said(&mut output, &format!("handled {id} ")).await?;
    assert_eq!(handled, format!("member.registered member/{ada}#1"));

    let client = Client::new(stack.sdk());
    let send = |body: String| client.send_message().queue_url(&queue).message_body(body);
    send(registered.to_string()).send().await?;
    said(&mut output, &format!("repeated {id} ")).await?;

    registered["event_version"] = json!("v9");
    send(registered.to_string()).send().await?;
    let refused = said(&mut errors, "failed ").await?;
    assert!(
        refused.contains("version v9 of member.registered is not known"),
        "{refused}"
    );

    consumer.kill().await?;
    let cleaned_up = example(&stack, &name)?.arg("--clean-up").status().await?;
    assert!(cleaned_up.success());
    for queue in [name.clone(), format!("{name}-dead-letters")] {
        let found = client.get_queue_url().queue_name(queue).send().await;
        assert!(found.is_err(), "a queue is left: {found:?}");
    }
    Ok(())
}
