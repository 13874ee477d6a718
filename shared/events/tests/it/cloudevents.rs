//! Converting to and from CloudEvents.

use events::{
    Arrival, Cause, Envelope, Registry, Sequence, Stamp, Timestamp, Violations,
    cloudevents::{from_cloudevent, identity, is_cloudevent},
};
use serde_json::{Value, json};

use crate::support::{self, json};

/// The envelope that an event becomes if it is ingested and committed with the sequence it had.
fn taken(native: &str, sequence: Sequence) -> Envelope {
    let draft = Registry::shipped().ingest(native, &support::ARRIVAL);
    draft.expect(native).seal(&Stamp {
        event_id: "550e8400-e29b-41d4-a716-446655440000"
            .parse()
            .expect("an id"),
        sequence,
        now: Timestamp::EPOCH,
        cause: &Cause::default(),
    })
}

fn from(document: &Value) -> Result<Value, Violations> {
    let native = from_cloudevent(&document.to_string(), Registry::shipped_contracts());
    native.map(|text| json(&text)).map_err(|invalid| invalid.0)
}

#[test]
fn every_event_goes_out_and_comes_back_the_same() {
    let registry = Registry::shipped();
    let full = json(&support::samples_of("common/envelope-v1")["full.json"]);
    for contract in registry.registered() {
        let info = contract.info();
        for (name, sample) in support::samples_of(&info.schema_path()) {
            let mut native = full.clone();
            let fields = native.as_object_mut().expect("an object");
            fields.insert("event_type".into(), info.event_type.into());
            fields.insert("event_version".into(), format!("v{}", info.version).into());
            let routed = format!("{}.v{}", info.event_type, info.version);
            fields.insert("routing_key".into(), routed.into());
            fields.remove("aggregate_type");
            fields.remove("aggregate_id");
            // Compared as bytes: the payload keeps its own.
            fields.insert("payload".into(), json!("PAYLOAD"));
            let native = native.to_string().replace("\"PAYLOAD\"", sample.trim());
            let number = Sequence::new(41).expect("a number");
            let envelope = taken(&native, number);
            let cloudevent = envelope.to_cloudevent().expect("serialises");
            assert!(is_cloudevent(&json(cloudevent.get())));
            let back = from_cloudevent(cloudevent.get(), registry.contracts());
            let back = back.unwrap_or_else(|invalid| panic!("{}: {invalid}", info.event_type));
            assert_eq!(taken(&back, number), envelope, "{} {name}", info.event_type);
        }
    }
}

#[test]
fn the_attributes_are_those_of_the_specification() {
    let full = &support::samples_of("common/envelope-v1")["full.json"];
    let envelope = Registry::read(full).expect("a sample");
    let out = json(envelope.to_cloudevent().expect("serialises").get());
    assert_eq!(out["specversion"], "1.0");
    assert_eq!(out["id"], envelope.event_id.to_string());
    assert_eq!(out["source"], envelope.producer.to_string());
    assert_eq!(out["type"], envelope.event_type.to_string());
    assert_eq!(out["time"], envelope.occurred_at.to_string());
    assert_eq!(out["data"], json(envelope.payload.json()));
    for (name, value) in out.as_object().expect("an object") {
        let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        assert!(name.chars().all(of_name), "{name}");
        assert!(name == "data" || value.is_string(), "{name}: {value}");
    }
}

/// A shop's event in the shop's own form: with an id, a source and attributes of its own.
fn foreign() -> Value {
    json!({
        "specversion": "1.0", "type": "erp.stock_counted", "source": "https://erp.example.com/cluj",
        "id": "count 117/3", "time": "2026-11-28T22:00:00.1234+02:00", "subject": "PRD-00123-A",
        "datacontenttype": "application/json; charset=utf-8", "comexampleshelf": 7, "comexamplefinal": true,
        "data": { "sku": "PRD-00123-A", "counted_quantity": 17, "counted_at": "2026-11-28T20:00:00.000Z" },
    })
}

#[test]
fn a_foreign_event_keeps_what_only_its_producer_knows() {
    let native = from(&foreign()).expect("a good one");
    assert_eq!(native["event_version"], "v1", "the only one of its type");
    assert_eq!(native["occurred_at"], "2026-11-28T20:00:00.123Z");
    assert_eq!(native["producer"], "erp.example.com/cluj");
    let id = identity(&["https://erp.example.com/cluj", "count 117/3"]).to_string();
    assert_eq!(native["event_id"], id, "a repeat has the same");
    let first = Sequence::new(1).expect("a number");
    let out = taken(&native.to_string(), first).to_cloudevent();
    let mut out = json(out.expect("serialises").get());
    for (name, value) in [
        ("id", json!("count 117/3")),
        ("subject", json!("PRD-00123-A")),
        ("source", json!("https://erp.example.com/cluj")),
        // An integer and a boolean as text, in the form that the specification defines.
        ("comexampleshelf", json!("7")),
        ("comexamplefinal", json!("true")),
    ] {
        assert_eq!(out[name], value, "{name}");
    }
    // A converted event is recognised when it comes back.
    out["sequence"] = json!("00000000000000000009");
    let back = from(&out).expect("our own");
    assert_eq!(
        taken(&back.to_string(), first),
        taken(&native.to_string(), first)
    );
}

#[test]
fn what_is_no_cloudevent_is_told_by_its_attribute() {
    for (name, value, message) in [
        ("specversion", json!("0.3"), "must be 1.0"),
        ("id", json!(""), "is required"),
        ("source", Value::Null, "is required"),
        ("type", json!(["a"]), "must be text"),
        ("time", json!("yesterday"), "not a UTC time"),
        ("datacontenttype", json!("text/xml"), "application/json"),
        ("data", json!("text"), "must be an object"),
        ("data_base64", json!("e30="), "is not supported"),
        ("Shelf", json!("7"), "not a valid attribute name"),
        ("shelf", json!(1.5), "must be text"),
        ("metadata", json!("[]"), "must be a JSON object"),
    ] {
        let mut document = foreign();
        document[name] = value;
        let wrong = from(&document).expect_err(name);
        let pointer = format!("/{name}");
        let found = wrong
            .iter()
            .any(|one| one.pointer == pointer && one.message.contains(message));
        assert!(found, "{name}: {wrong:?}");
    }
    let several = json!({ "specversion": "1.0", "id": "a" });
    let pointers: Vec<String> = from(&several)
        .expect_err("lacks three")
        .into_iter()
        .map(|one| one.pointer)
        .collect();
    assert_eq!(pointers, ["/data", "/source", "/type"]);
}

#[test]
fn an_event_without_an_id_gets_the_one_of_its_arrival_or_is_refused() {
    let mut native = from(&foreign()).expect("a good one");
    native
        .as_object_mut()
        .expect("an object")
        .remove("event_id");
    native
        .as_object_mut()
        .expect("an object")
        .remove("occurred_at");
    let registry = Registry::shipped();
    let refused = registry.ingest(&native.to_string(), &support::ARRIVAL);
    let refused = refused.expect_err("no id").0;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].pointer, "/event_id");
    let arrival = Arrival {
        event_id: "550e8400-e29b-41d4-a716-446655440000".parse().ok(),
        now: Timestamp::EPOCH,
    };
    let draft = registry.ingest(&native.to_string(), &arrival);
    assert_eq!(draft.expect("an id").event_id(), arrival.event_id);
}
