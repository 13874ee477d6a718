//! Tests the consumer in the whole pipeline, in memory.

use serde_json::{Value, json};
use testkit::flow::Flow;

use super::*;

const MINTED: &str = include_str!("../../../../shared/events/samples/cloud/minted-v1/full.json");
const TRANSFERRED: &str =
    include_str!("../../../../shared/events/samples/cloud/transferred-v1/full.json");
const REDEEMED: &str =
    include_str!("../../../../shared/events/samples/cloud/redeemed-v1/full.json");
const BURNED: &str = include_str!("../../../../shared/events/samples/cloud/burned-v1/full.json");
const REGISTERED: &str =
    include_str!("../../../../shared/events/samples/member/registered-v1/full.json");

const ADA: &str = "0x52908400098527886E0F7030069857D2E4169EE7";

fn table() -> Table {
    Table::domain("cloud")
}

fn flow(chain: Chain) -> Flow {
    Flow::builder(1)
        .consumer(move |site| ChainSync::new(site.outbox().clone(), table(), chain))
        .build()
        .expect("a flow")
}

/// A message of an event whose payload is a sample with some values replaced.
fn message(flow: &Flow, event_type: &str, sample: &str, other: &Value) -> String {
    let mut payload: Value = serde_json::from_str(sample).expect("JSON");
    for (name, value) in other.as_object().expect("an object") {
        match value {
            Value::Null => payload.as_object_mut().expect("an object").remove(name),
            value => payload
                .as_object_mut()
                .expect("an object")
                .insert(name.clone(), value.clone()),
        };
    }
    flow.message(event_type, &payload.to_string())
        .expect("a contract")
}

fn send(flow: &mut Flow, messages: impl IntoIterator<Item = String>) {
    for body in messages {
        assert!(flow.send(ChainSync::NAME, body));
    }
    flow.drain().expect("drains");
}

fn register(flow: &mut Flow, member: &str, address: Option<&str>, version: u64) {
    let other = json!({ "member_id": member, "ethereum_address": address, "version": version });
    let event = message(flow, "member.registered", REGISTERED, &other);
    send(flow, [event]);
}

fn jobs(flow: &Flow) -> Vec<Job> {
    let items = flow.store().items(&table());
    let jobs = items.into_iter().filter(|item| {
        item["pk"]
            .as_str()
            .is_some_and(|pk| pk.starts_with("chain_job#"))
    });
    jobs.map(|item| serde_json::from_value(Value::Object(item)).expect("a job"))
        .collect()
}

#[test]
fn every_movement_of_somebody_with_an_address_queues_one_job_however_often_it_is_told() {
    let mut flow = flow(Chain::There);
    register(&mut flow, "ada", Some(ADA), 1);
    let of = |member: &str| json!({ "member_id": member });
    let minted = message(&flow, "cloud.minted", MINTED, &of("ada"));
    let redeemed = message(&flow, "cloud.redeemed", REDEEMED, &of("ada"));
    let burned = message(&flow, "cloud.burned", BURNED, &of("ada"));
    send(
        &mut flow,
        [minted.clone(), redeemed, burned, minted.clone(), minted],
    );
    let mut jobs = jobs(&flow);
    jobs.sort_by_key(|job| job.event_type.to_string());
    let types: Vec<&str> = jobs.iter().map(|job| job.event_type.as_str()).collect();
    assert_eq!(types, ["cloud.burned", "cloud.minted", "cloud.redeemed"]);
    for job in &jobs {
        assert_eq!(job.status, Status::Queued);
        assert_eq!(job.ethereum_address.as_str(), ADA);
    }
    assert!(flow.letters(ChainSync::NAME).is_empty());
}

#[test]
fn a_transfer_queues_a_job_for_each_side_that_has_an_address() {
    let mut flow = flow(Chain::There);
    let grace = "0x00000000000000000000000000000000000000aa";
    register(&mut flow, "ada", Some(ADA), 1);
    register(&mut flow, "grace", Some(grace), 1);
    register(&mut flow, "bob", None, 1);
    for to in ["grace", "bob"] {
        let other = json!({ "from_member_id": "ada", "to_member_id": to });
        let moved = message(&flow, "cloud.transferred", TRANSFERRED, &other);
        send(&mut flow, [moved]);
    }
    let jobs = jobs(&flow);
    let mut members: Vec<&str> = jobs.iter().map(|job| job.member_id.as_str()).collect();
    members.sort_unstable();
    assert_eq!(members, ["ada", "ada", "grace"]);
}

#[test]
fn credits_that_belong_to_nobody_queue_nothing() {
    let mut flow = flow(Chain::There);
    let nobody = json!({ "member_id": null, "member_name": null });
    let minted = message(&flow, "cloud.minted", MINTED, &nobody);
    let burned = message(&flow, "cloud.burned", BURNED, &nobody);
    send(&mut flow, [minted, burned]);
    assert!(jobs(&flow).is_empty());
    assert!(flow.letters(ChainSync::NAME).is_empty());
}

#[test]
fn money_that_comes_before_its_member_waits_for_them() {
    let mut flow = flow(Chain::There);
    let minted = message(
        &flow,
        "cloud.minted",
        MINTED,
        &json!({ "member_id": "ada" }),
    );
    assert!(flow.send(ChainSync::NAME, minted));
    register(&mut flow, "ada", Some(ADA), 1);
    assert_eq!(jobs(&flow).len(), 1);

    // A member who never arrives ends in a dead letter that names the member.
    let other = message(
        &flow,
        "cloud.minted",
        MINTED,
        &json!({ "member_id": "ghost" }),
    );
    send(&mut flow, [other]);
    let letters = flow.letters(ChainSync::NAME);
    assert_eq!(letters.len(), 1);
    assert!(format!("{:?}", letters[0]).contains("ghost"));
}

#[test]
fn an_older_word_about_a_member_changes_nothing() {
    let mut flow = flow(Chain::There);
    register(&mut flow, "ada", Some(ADA), 2);
    register(&mut flow, "ada", None, 1);
    let minted = message(
        &flow,
        "cloud.minted",
        MINTED,
        &json!({ "member_id": "ada" }),
    );
    send(&mut flow, [minted]);
    assert_eq!(jobs(&flow).len(), 1);
}

#[test]
fn without_a_chain_members_are_kept_and_movements_queue_nothing() {
    let mut flow = flow(Chain::NotThere);
    register(&mut flow, "ada", Some(ADA), 1);
    let minted = message(
        &flow,
        "cloud.minted",
        MINTED,
        &json!({ "member_id": "ada" }),
    );
    send(&mut flow, [minted]);
    assert!(jobs(&flow).is_empty());
    assert_eq!(flow.store().items(&table()).len(), 1);
}
