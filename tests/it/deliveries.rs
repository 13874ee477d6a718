//! Compares what an endpoint outside was sent with the event log: in the campaign over HTTP, in Flow in memory.

use std::collections::BTreeMap;

use events::Envelope;

/// A request to an endpoint.
pub(crate) struct Sent<'a> {
    /// The event's id, as the request says.
    pub(crate) id: &'a str,
    pub(crate) body: &'a str,
    /// Whether the endpoint has what it was sent, whether or not it could say so.
    pub(crate) is_taken: bool,
}

/// What is wrong with the requests that an endpoint got, in the order in which they came. `wanted` is what it had to be sent,
/// in the order of each aggregate: each event, and its text in the log.
pub(crate) fn differences<'a>(
    sent: &[Sent<'_>],
    wanted: impl IntoIterator<Item = (&'a Envelope, String)>,
    in_order: bool,
) -> Vec<String> {
    // When each event was taken for the first time, and all requests with it.
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bodies: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (at, one) in sent.iter().enumerate() {
        bodies.entry(one.id).or_default().push(one.body);
        if one.is_taken {
            taken.entry(one.id).or_insert(at);
        }
    }
    let mut wrong = Vec::new();
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for (event, text) in wanted {
        let id = event.event_id.to_string();
        let aggregate = format!("{}/{}", event.aggregate_type, event.aggregate_id);
        let name = format!("{aggregate} {}", event.sequence.number());
        let Some(at) = taken.get(id.as_str()).copied() else {
            wrong.push(format!("{name} was not taken"));
            continue;
        };
        let mut of_event = bodies.get(id.as_str()).into_iter().flatten();
        if of_event.any(|body| *body != text) {
            wrong.push(format!(
                "{name} was sent with other content than the log has"
            ));
        }
        let before = last.insert(aggregate, at);
        if in_order && before.is_some_and(|before| before > at) {
            wrong.push(format!("{name} was taken before the one before it"));
        }
    }
    wrong
}
