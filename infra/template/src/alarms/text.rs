//! The texts of the alarms: what each alarm means, and what to do when it is raised.

pub(super) fn letters_warning(consumer: &str) -> String {
    format!(
        "{consumer} has more than 10 dead letters. Read their reason and error attributes, fix the cause, then redrive them."
    )
}

pub(super) fn letters_critical(consumer: &str) -> String {
    format!(
        "{consumer} has more than 100 dead letters: the fault affects many events, not one. Look for the reason that repeats, and \
         check the last deployment. Redrive them after the fix."
    )
}

pub(super) fn letters_old(consumer: &str) -> String {
    format!(
        "A dead letter of {consumer} is older than 10 days. SQS deletes it after 14 days. Redrive it, or decide that it is not needed."
    )
}

pub(super) fn letters_unhandled(consumer: &str) -> String {
    format!("{consumer} has dead letters, and none was handled for an hour.")
}

pub(super) fn depth_warning(consumer: &str) -> String {
    format!(
        "More than 1,000 events wait for {consumer}. It may be slower than its events arrive. Check its Errors and Throttles, and \
         LaneMaximumConcurrency."
    )
}

pub(super) fn depth_critical(consumer: &str) -> String {
    format!(
        "More than 10,000 events wait for {consumer}. After 4 days a message is lost from the lane (the event log keeps the event). \
         Check its Errors and Throttles, and raise LaneMaximumConcurrency."
    )
}

pub(super) fn in_flight(consumer: &str) -> String {
    format!(
        "More than 60,000 events of {consumer} are in flight; most of them wait for their next attempt. At 120,000 SQS stops \
         delivering from the lane. A dependency is probably down: see the consumer's logs, class unavailable."
    )
}

pub(super) fn oldest(consumer: &str, seconds: u32) -> String {
    format!("The oldest event of {consumer} has waited more than {seconds} s, for five minutes.")
}

pub(super) fn latency(domain: &str, priority: &str, objective: u32) -> String {
    let objective = thousands(objective);
    format!(
        "For five minutes p95 from commit to handler start was over {objective} ms for {priority} events of {domain}. Check the relay's \
         age first, then the lanes."
    )
}

fn thousands(number: u32) -> String {
    if number < 1_000 {
        return number.to_string();
    }
    format!("{},{:03}", number / 1_000, number % 1_000)
}

pub(super) const RELAY_BEHIND: &str =
    "The relay has been more than a minute behind the event log for five minutes.";

pub(super) const RELAY_FAR_BEHIND: &str = "The relay is more than an hour behind. After 24 h the stream drops its records; the rows stay \
    pending in the event log, and `millrace republish` sends them. Check the relay's last error and the bus.";

pub(super) const PUBLISH_ERRORS: &str = "The bus did not accept an event. The relay repeats transient errors until the bus accepts the \
    event; the relay's age shows their extent. A row with failed_at was refused for good: read last_error, fix the cause, and run \
    `millrace republish`.";

pub(super) fn relay_errors(name: &str) -> String {
    format!(
        "{name} failed in three of five minutes. The relay fails its invocation on purpose if the bus does not accept every event: \
         see the relay's other alarms."
    )
}

pub(super) fn keeping_errors(name: &str) -> String {
    format!(
        "{name} failed. If a rule invoked it, Lambda retried twice and then wrote the event with the reason to the bucket \
         RelayFailuresBucketName, under aws/lambda/. Fix the event or its contract, and invoke the function with it again: events \
         that it had accepted are recognised by their ids."
    )
}

pub(super) fn errors(name: &str) -> String {
    format!(
        "{name} failed in three of five minutes. Its log shows the missing setting, the panic or the timeout."
    )
}

pub(super) const FRONT: &str = "The front answered more than 5 requests with 5xx in five minutes.";
