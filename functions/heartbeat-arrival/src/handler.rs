//! The handler of `heartbeat-arrival` writes only the mark: the runtime's metrics say that the heartbeat arrived, and how
//! long it was on its way.

use consumer::Handler;

/// The events that the consumer handles, as declared.
pub use topology::functions::heartbeat_arrival::Event;

/// The consumer `heartbeat-arrival`.
#[derive(Debug)]
pub struct HeartbeatArrival;

impl Handler for HeartbeatArrival {
    // Every mark that the consumer writes contains this name: never rename it.
    const NAME: &'static str = topology::functions::heartbeat_arrival::FUNCTION.name;
    type Event = Event;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use consumer::Outcome;
    use testkit::flow::Flow;

    use super::*;

    #[test]
    fn a_heartbeat_is_handled_once() {
        let flow = Flow::builder(1).consumer(|_| HeartbeatArrival);
        let mut flow = flow.build().expect("a runtime");
        let message = flow
            .message("system.heartbeat", r#"{"version": 1}"#)
            .expect("a contract");
        for _ in 0..2 {
            assert!(flow.send(HeartbeatArrival::NAME, message.as_str()));
        }
        flow.drain().expect("drains");
        let id: serde_json::Value = serde_json::from_str(&message).expect("JSON");
        let id = id["event_id"].as_str().expect("an id");
        let mut outcomes = flow.outcomes(HeartbeatArrival::NAME, id);
        outcomes.sort_by_key(|outcome| outcome.as_str());
        assert_eq!(outcomes, [Outcome::Done, Outcome::Duplicate]);
    }
}
