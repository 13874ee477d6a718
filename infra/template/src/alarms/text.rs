//! What an alarm means and what to do when it rings.

pub(super) fn letters_warning(consumer: &str) -> String {
    format!(
        "More than 10 letters of {consumer}. Read their reason and error attributes; redrive what was fixed."
    )
}

pub(super) fn letters_critical(consumer: &str) -> String {
    format!(
        "More than 100 letters of {consumer}: a fault of many events, not of one. Look at the reason that repeats and at the last \
         deployment; redrive after the fix."
    )
}

pub(super) fn letters_old(consumer: &str) -> String {
    format!(
        "A letter of {consumer} is older than 10 days and is deleted at 14. Redrive it or decide that it is not needed."
    )
}

pub(super) fn letters_unhandled(consumer: &str) -> String {
    format!("Letters of {consumer} wait and none was handled for an hour.")
}

pub(super) fn depth_warning(consumer: &str) -> String {
    format!(
        "More than 1,000 events wait for {consumer}. Is it slower than what comes in? Look at its Errors and Throttles and at \
         LaneMaximumConcurrency."
    )
}

pub(super) fn depth_critical(consumer: &str) -> String {
    format!(
        "More than 10,000 events wait for {consumer}; what waits for 4 days is lost from the lane (the event log keeps it). Look at \
         its Errors and Throttles, raise LaneMaximumConcurrency."
    )
}

pub(super) fn in_flight(consumer: &str) -> String {
    format!(
        "More than 60,000 events of {consumer} are in flight, most of them waiting for their next attempt; at 120,000 the lane \
         stops. A dependency is down: see the consumer's logs, class unavailable."
    )
}

pub(super) fn oldest(consumer: &str, seconds: u32) -> String {
    format!("For five minutes the oldest event of {consumer} has waited more than {seconds} s.")
}

pub(super) fn latency(domain: &str, priority: &str, objective: u32) -> String {
    let objective = thousands(objective);
    format!(
        "Five minutes of p95 over {objective} ms from commit to handler start for {priority} events of {domain}. Look at the relay's \
         age first, then at the lanes."
    )
}

fn thousands(number: u32) -> String {
    if number < 1_000 {
        return number.to_string();
    }
    format!("{},{:03}", number / 1_000, number % 1_000)
}

pub(super) const RELAY_BEHIND: &str =
    "For five minutes the relay has been more than a minute behind the event log.";

pub(super) const RELAY_FAR_BEHIND: &str = "The relay is more than an hour behind. At 24 h the stream forgets; the rows stay pending \
    in the event log and `millrace republish` sends them. Look at the relay's last error and at the bus.";

pub(super) const PUBLISH_ERRORS: &str = "The bus did not take an event. What is transient is repeated until the bus takes it (then \
    the relay's age tells more); a row with failed_at was refused for good: read last_error, mend the cause, `millrace republish`.";

pub(super) fn relay_errors(name: &str) -> String {
    format!(
        "{name} failed in three of five minutes. The relay fails its invocation on purpose when the bus does not take everything: \
         see its other alarms."
    )
}

pub(super) fn keeping_errors(name: &str) -> String {
    format!(
        "{name} failed. What it was invoked with by a rule and could not take lies after two retries in the bucket of \
         RelayFailuresBucketName under aws/lambda/, with the reason; mend the event or its contract and invoke the function with it \
         again: what was taken is known by its id."
    )
}

pub(super) fn errors(name: &str) -> String {
    format!(
        "{name} failed in three of five minutes. Its log says at which setting, panic or timeout."
    )
}

pub(super) const FRONT: &str = "The front answered more than 5 calls with 5xx in five minutes.";
