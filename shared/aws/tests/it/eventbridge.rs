//! The EventBridge publisher with a scripted HTTP client: it reads every entry's result.

use aws::EventBridgePublisher;
use outbox::{BusEntry, FaultKind, Publisher};
use serde_json::{Value, json};

use crate::stub::{Fate, Stub};

fn publisher(stub: &Stub) -> EventBridgePublisher {
    EventBridgePublisher::new(stub.eventbridge(), "millrace-bus")
}

fn entries(count: usize) -> Vec<BusEntry> {
    (0..count)
        .map(|n| BusEntry {
            source: "cloud-api".into(),
            detail_type: "cloud.minted".into(),
            detail: json!({ "n": n }).to_string(),
            trace_header: (n == 0).then(|| "Root=1-2-3".to_owned()),
        })
        .collect()
}

fn refused(code: &str) -> Value {
    json!({"ErrorCode": code, "ErrorMessage": "scripted"})
}

#[tokio::test]
async fn a_partial_failure_is_read_entry_by_entry() {
    let answer = json!({
        "FailedEntryCount": 3,
        "Entries": [
            {"EventId": "1"},
            refused("ThrottlingException"),
            refused("MalformedDetail"),
            {"EventId": "4"},
            {},
        ],
    });
    let stub = Stub::new([Fate::ok(answer)]);
    let results = publisher(&stub)
        .publish(&entries(5))
        .await
        .expect("answered");
    let seen: Vec<Option<(&str, bool)>> = results
        .iter()
        .map(|result| {
            result
                .as_ref()
                .err()
                .map(|fault| (fault.code.as_str(), fault.permanent))
        })
        .collect();
    assert_eq!(
        seen,
        [
            None,
            Some(("ThrottlingException", false)),
            Some(("MalformedDetail", true)),
            None,
            Some(("NoEventId", false)),
        ]
    );
}

#[tokio::test]
async fn only_faults_of_the_entry_itself_are_permanent() {
    for (code, permanent) in [
        ("MalformedDetail", true),
        ("InvalidArgument", true),
        ("NotAuthorizedForSourceException", true),
        ("NotAuthorizedForDetailTypeException", true),
        ("AccessDeniedException", false),
        ("InternalFailure", false),
        ("InvalidAccountIdException", false),
        ("SomethingNew", false),
    ] {
        let stub = Stub::new([Fate::ok(
            json!({"FailedEntryCount": 1, "Entries": [refused(code)]}),
        )]);
        let results = publisher(&stub)
            .publish(&entries(1))
            .await
            .expect("answered");
        let fault = results[0].as_ref().expect_err("refused");
        assert_eq!(fault.permanent, permanent, "{code}");
        assert_eq!(fault.to_string(), format!("{code}: scripted"));
    }
}

#[tokio::test]
async fn a_call_that_fails_as_a_whole_says_what_may_be_done_about_it() {
    for (fate, kind) in [
        (Fate::error(400, "AccessDeniedException"), FaultKind::Denied),
        (
            Fate::error(400, "ThrottlingException"),
            FaultKind::Unavailable,
        ),
        (
            Fate::error(500, "InternalException"),
            FaultKind::Unavailable,
        ),
        (
            Fate::error(400, "ResourceNotFoundException"),
            FaultKind::Unavailable,
        ),
        (Fate::error(400, "ValidationException"), FaultKind::Rejected),
        (Fate::Broken, FaultKind::Unavailable),
        // An answer that does not cover every entry proves nothing.
        (
            Fate::ok(json!({"FailedEntryCount": 0, "Entries": []})),
            FaultKind::Unreadable,
        ),
    ] {
        let stub = Stub::new([fate.clone()]);
        let fault = publisher(&stub)
            .publish(&entries(2))
            .await
            .expect_err("failed");
        assert_eq!(fault.kind, kind, "{fate:?}");
        assert_eq!(stub.requests().len(), 1, "the relay repeats, not the SDK");
    }
}

#[tokio::test]
async fn entries_are_sent_byte_for_byte_to_the_bus() {
    let stub = Stub::new([Fate::ok(
        json!({"Entries": [{"EventId": "1"}, {"EventId": "2"}]}),
    )]);
    publisher(&stub)
        .publish(&entries(2))
        .await
        .expect("answered");
    let sent = &stub.requests()[0]["Entries"];
    assert_eq!(
        sent[0],
        json!({
            "EventBusName": "millrace-bus", "Source": "cloud-api", "DetailType": "cloud.minted",
            "Detail": "{\"n\":0}", "TraceHeader": "Root=1-2-3",
        })
    );
    assert!(sent[1].get("TraceHeader").is_none());
}
