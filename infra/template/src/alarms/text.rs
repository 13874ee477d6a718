//! The texts of the alarms: what each alarm means, and what to do when it is raised.

use events::Priority;

pub(super) const HEARTBEAT_MISSING: &str = "No heartbeat has arrived for 15 minutes. One is committed every 5 minutes and goes the whole way to a \
    consumer, so events of other types probably do not arrive either. Ask where the last one stopped (`millrace events recent`, then \
    `millrace events journey`): not committed (the job heartbeat), not published (the relay, its mapping), not delivered (the bus, its \
    rules), not handled (heartbeat-arrival). It is also raised for some minutes after the first deployment.";

pub(super) const BUS_FAILED: &str = "The bus could not deliver events to a lane, and has put them into the dead-letter queue. The \
    metric FailedInvocations of AWS/Events names the rule. If it is ToldEvents, nothing is lost and a mail was not sent: let the topic of the \
    warnings be published to by events.amazonaws.com. Most often the queue's policy or the queue has been changed: deploy the \
    template again, then send the dead letters back.";

pub(super) const BUS_LOST: &str = "The bus could neither deliver events to a lane nor put them into the dead-letter queue: these deliveries are \
    lost. The metric InvocationsFailedToBeSentToDlq of AWS/Events names the rule. Deploy the template again, and run `millrace audit`: it \
    names each event that a consumer has not handled. The event log has them all.";

pub(super) const PARKED: &str = "The consumers parked more than 10 events in an hour. The metric EventParked of Millrace names the consumers; \
    `millrace audit` lists the dead letters with their reasons. Fix the cause, then redrive them.";

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

pub(super) fn letters_unhandled(consumer: &str) -> String {
    format!(
        "{consumer} has dead letters, and none was handled for an hour. Their rows expire 90 days after their last change: \
         redrive them before, or discard what is not needed."
    )
}

pub(super) const UNDRAINED: &str = "Dead letters have waited in the dead-letter queue for more than 15 minutes: they are not drained. Check whether the \
    event source mapping of dead-letters is enabled, and whether the function is throttled. Until it runs, no list and no other alarm has these \
    letters. SQS deletes a parked one after 14 days, and one that SQS moved itself 14 days after the bus sent its event.";

pub(super) const UNSTORED: &str = "For half an hour there was always a dead letter that dead-letters had received and not stored. Read the function's log: \
    most often it cannot write its table. If it stores them and the log has no error, letters have come without a pause: look at what is parked.";

pub(super) fn depth_warning(consumer: &str) -> String {
    format!(
        "More than 1,000 events wait for {consumer}. It may be slower than its events arrive. Check its Errors and Throttles, and \
         LaneMaximumConcurrency."
    )
}

pub(super) fn depth_critical(consumer: &str) -> String {
    format!(
        "More than 10,000 events wait for {consumer}. After 14 days a message is lost from the lane (the event log keeps the event). \
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

pub(super) fn stuck(consumer: &str) -> String {
    format!(
        "An event has waited more than 6 hours for {consumer} and was hardly ever received: nothing drains the lane. Check whether its \
         event source mapping is enabled and whether the function is throttled. SQS deletes the event after 14 days, and does not \
         move it to the dead-letter queue."
    )
}

pub(super) fn latency(domain: &str, priority: Priority, objective: u32) -> String {
    let rare = if priority == Priority::Critical {
        " If there were fewer than five events, it was over ten times as much: functions that had to start do not raise the alarm."
    } else {
        ""
    };
    let (priority, objective) = (priority.as_str(), thousands(objective));
    format!(
        "In five minutes p95 from commit to handler start was over {objective} ms for {priority} events of {domain}.{rare} Check the \
         relay's age first, then the lanes."
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

pub(super) const PUBLISH_RATE: &str = "For a quarter of an hour the relay has published far more or far fewer events than is usual at this hour of the \
    week. More: a bulk load, a loop of events, or a caller that repeats. Fewer: callers that cannot reach the API, or a producer that has \
    stopped; that nothing at all is published, heartbeat-missing says. Fewer than 100 events in five minutes count as none. In its first \
    days the alarm knows nothing usual and is not raised.";

pub(super) fn relay_errors(name: &str) -> String {
    format!(
        "{name} failed in two of the last three periods of five minutes. The relay fails its invocation on purpose if the bus does \
         not accept every event: see the relay's other alarms."
    )
}

pub(super) fn keeping_errors(name: &str) -> String {
    format!("{name} failed. Its log shows the missing setting, the panic or the timeout.")
}

pub(super) fn errors(name: &str) -> String {
    format!(
        "{name} failed in two of the last three periods of five minutes. Its log shows the missing setting, the panic or the timeout."
    )
}

pub(super) fn failures_kept(name: &str) -> String {
    format!(
        "{name} gave up an event of a rule after all retries. If the event reached the bucket RelayFailuresBucketName, it is there with \
         the reason, under aws/lambda/. Fix the event or its contract, and invoke the function with it again: events that it had \
         accepted are recognised by their ids."
    )
}

pub(super) fn failures_lost(name: &str) -> String {
    format!(
        "Lambda could not write what {name} gave up to the bucket RelayFailuresBucketName. Check the bucket and the function's role. \
         The function's log names the events."
    )
}

pub(super) const ACCOUNT_THROTTLES: &str = "Lambda throttled functions of this account and region in two of the last three periods of five \
    minutes, functions of others included. The metric Throttles by FunctionName names them. Raise the account's concurrency, or \
    the function's reserved concurrency.";

pub(super) fn not_started(name: &str) -> String {
    format!(
        "The schedule could not start {name}: the rule lacks the permission, or the function is gone. Deploy the template again."
    )
}

pub(super) fn job_missing(name: &str, hours: u32) -> String {
    format!(
        "{name} has not run for {hours} hours. Check whether its rule is enabled, and whether its schedule starts it at least once a day. \
         The alarm is also raised from the first deployment to the first run."
    )
}

pub(super) const MAIL_BOUNCES: &str = "More than 5 % of this account's mails in this region bounced, at which SES begins to review the account; \
    at 10 % it may pause it. Find the addresses in the SES console, and correct or remove them.";

pub(super) const MAIL_COMPLAINTS: &str = "Recipients complained about more than 0.1 % of this account's mails in this region, at which SES begins \
    to review the account; at 0.5 % it may pause it. Find out which notices they did not want.";

pub(super) const FRONT: &str = "The front answered more than 5 requests with 5xx in five minutes.";
