//! Draft, seal, write, read: the event is the same at both ends.

use std::sync::LazyLock;

use events::{
    Cause, CorrelationId, Credits, Draft, Envelope, EventId, IdempotencyKey, MAX_ENVELOPE_BYTES,
    MemberId, Metadata, Priority, Registry, Sequence, Stamp, Text, Timestamp, TransactionId, Usd,
    contracts::cloud::Minted,
};
use proptest::prelude::*;

use crate::support;

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::shipped);

fn event_id() -> impl Strategy<Value = EventId> {
    any::<u128>().prop_map(|bits| {
        let mut bytes = bits.to_be_bytes();
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        EventId::new(uuid::Uuid::from_bytes(bytes)).expect("version 7")
    })
}

fn text<const MAX: usize>() -> impl Strategy<Value = Text<MAX>> {
    "[^\\pC]{1,60}".prop_map(|text| Text::new(text).expect("printable"))
}

fn minted() -> impl Strategy<Value = Minted> {
    let amounts = (
        0_i64..1_000_000_000_000_000,
        0_i64..1_000_000_000_000_000,
        0_i64..1_000_000_000_000_000,
    );
    let who = proptest::option::of("[A-Za-z0-9][A-Za-z0-9._:-]{0,63}");
    (
        any::<u128>(),
        amounts,
        who,
        proptest::option::of(text()),
        proptest::option::of(text()),
        1..=Sequence::MAX,
    )
        .prop_map(
            |(id, (amount, usd, after), who, member_name, description, version)| Minted {
                transaction_id: uuid::Uuid::from_u128(id).into(),
                member_id: who.and_then(|id| MemberId::new(id).ok()),
                member_name,
                amount: Credits::new(decimal(amount, 6)).expect("in range"),
                amount_usd: Usd::new(decimal(usd, 2)).expect("in range"),
                balance_after: Credits::new(decimal(after, 6)).expect("in range"),
                stripe_charge_id: None,
                stripe_payment_intent_id: None,
                description,
                version: Sequence::new(version).expect("in range"),
            },
        )
}

fn decimal(units: i64, scale: u32) -> rust_decimal::Decimal {
    rust_decimal::Decimal::new(units, scale)
}

fn cause() -> impl Strategy<Value = Cause> {
    let metadata = (
        proptest::option::of(text()),
        prop::collection::btree_map("x_[a-z]{1,8}", any::<String>(), 0..3),
    )
        .prop_map(|(user_id, other)| Metadata {
            user_id,
            other,
            ..Metadata::default()
        });
    let trace =
        any::<(u128, u64, u8)>().prop_filter_map("ids not all zero", |(trace, span, flags)| {
            format!("00-{trace:032x}-{span:016x}-{flags:02x}")
                .parse()
                .ok()
        });
    (
        proptest::option::of(event_id().prop_map(CorrelationId::from)),
        proptest::option::of(event_id()),
        proptest::option::of(trace),
        proptest::option::of(metadata),
    )
        .prop_map(|(correlation_id, event_id, trace_id, metadata)| Cause {
            correlation_id,
            event_id,
            trace_id,
            metadata,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sealed_event_is_read_back_as_it_was(
        payload in minted(),
        cause in cause(),
        event_id in event_id(),
        sequence in 1..=Sequence::MAX,
        millis in -62_135_596_800_000_i64..=253_402_300_799_999,
        key in proptest::option::of("[^#\\pC]{1,80}"),
        priority in proptest::option::of(prop::sample::select(vec![Priority::Low, Priority::Critical])),
    ) {
        let registry = &*REGISTRY;
        let mut draft = Draft::of(&payload).expect("a shipped contract");
        if let Some(key) = key {
            draft = draft.with_idempotency_key(IdempotencyKey::new(key).expect("printable"));
        }
        if let Some(priority) = priority {
            draft = draft.with_priority(priority);
        }
        prop_assert_eq!(registry.validate_draft(&draft), Ok(()));
        let sequence = Sequence::new(sequence).expect("in range");
        let now = Timestamp::from_unix_millis(millis).expect("in range");
        let sealed = draft.seal(&Stamp { event_id, sequence, now, cause: &cause });
        let written = sealed.to_json().expect("it is small");
        let read = Registry::read(&written).expect("what we write we read");
        prop_assert_eq!(&read, &sealed);
        prop_assert_eq!(registry.validate(&support::json(&written)), []);
        // The bytes stay the same, however often the event is read and written.
        prop_assert_eq!(read.to_json().expect("it is small"), written);
        prop_assert_eq!(events::decode_payload::<Minted>(&read), Ok(payload));
    }

    #[test]
    fn an_event_from_outside_keeps_its_identity_time_and_chain(event_id in event_id(), sequence in 1..=Sequence::MAX) {
        let registry = &*REGISTRY;
        let original = &support::samples_of("common/envelope-v1")["full.json"];
        let draft = registry.ingest(original, &support::ARRIVAL).expect("the sample is valid");
        let cause = Cause::default();
        let stamp = Stamp {
            event_id,
            sequence: Sequence::new(sequence).expect("in range"),
            now: Timestamp::EPOCH,
            cause: &cause,
        };
        let sealed = draft.seal(&stamp);
        // The commit assigns the sequence; all other fields are the producer's.
        let expected = Envelope { sequence: stamp.sequence, ..Registry::read(original).expect("the sample is valid") };
        prop_assert_eq!(sealed, expected);
    }
}

fn stamped(draft: Draft, cause: &Cause) -> Envelope {
    let event_id = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
        .parse()
        .expect("version 7");
    draft.seal(&Stamp {
        event_id,
        sequence: Sequence::new(1).expect("in range"),
        now: Timestamp::EPOCH,
        cause,
    })
}

fn sample_draft() -> Draft {
    let payload = Minted {
        transaction_id: TransactionId::from(uuid::Uuid::nil()),
        member_id: None,
        member_name: None,
        amount: Credits::ZERO,
        amount_usd: Usd::ZERO,
        balance_after: Credits::ZERO,
        stripe_charge_id: None,
        stripe_payment_intent_id: None,
        description: None,
        version: Sequence::new(1).expect("in range"),
    };
    Draft::of(&payload).expect("a shipped contract")
}

#[test]
fn a_chain_starts_with_the_first_events_own_id_and_is_handed_on() {
    let first = stamped(sample_draft(), &Cause::default());
    assert_eq!(first.correlation_id, CorrelationId::from(first.event_id));
    assert_eq!((first.causation_id, first.parent_event_id), (None, None));
    let second = stamped(sample_draft(), &Cause::event(&first));
    assert_eq!(second.correlation_id, first.correlation_id);
    assert_eq!(
        (second.causation_id, second.parent_event_id),
        (Some(first.event_id), Some(first.event_id))
    );
    assert_eq!(
        first.routing_key.expect("it is carried").as_str(),
        "cloud.minted.v1"
    );
    assert_eq!(second.aggregate_id.as_str(), "unallocated");
}

#[test]
fn an_envelope_over_the_limit_is_refused_with_both_numbers() {
    let other = [("big".to_owned(), "x".repeat(MAX_ENVELOPE_BYTES))].into();
    let draft = sample_draft().with_metadata(Metadata {
        other,
        ..Metadata::default()
    });
    let error = stamped(draft, &Cause::default())
        .to_json()
        .expect_err("too large")
        .to_string();
    assert!(
        error.ends_with("bytes; at most 204800 are allowed"),
        "{error}"
    );
    assert!(error.starts_with("the serialised event has 205"), "{error}");
}
