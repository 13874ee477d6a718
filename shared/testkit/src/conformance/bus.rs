//! The checks of a publisher.

use outbox::{BusEntry, FaultKind, Publisher};
use serde_json::json;

use super::{Checked, equal, fault};

pub(super) fn entries(count: usize) -> Vec<BusEntry> {
    (0..count)
        .map(|n| BusEntry {
            source: "conformance".to_owned(),
            detail_type: "conformance.tried".to_owned(),
            detail: json!({"number": n, "text": "größer ☁"}).to_string(),
            trace_header: None,
        })
        .collect()
}

pub(super) async fn every_entry_is_answered_for(publisher: &dyn Publisher) -> Checked {
    for count in [1, 10] {
        let answers = publisher.publish(&entries(count)).await.map_err(fault)?;
        equal("the answers", &answers, &vec![Ok(()); count])?;
    }
    Ok(())
}

pub(super) async fn more_than_ten_entries_are_refused(publisher: &dyn Publisher) -> Checked {
    match publisher.publish(&entries(11)).await {
        Err(fault) => equal("the fault", &fault.kind, &FaultKind::Rejected),
        Ok(answers) => Err(format!("{answers:?}")),
    }
}
