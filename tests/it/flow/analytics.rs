//! Counts over time, however often and in whatever order their events arrive. What is stored must equal a plain sum
//! over the events, for every hour and every day, for all members together and for each member.

use std::collections::BTreeMap;

use analytics::handler::Analytics;
use consumer::Handler;
use events::{Credits, Points, Timestamp};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use testkit::flow::{Faults, Flow};
use views::analytics::{Bucket, Figure, Wanted};

use super::world::{analytics_table, any_faults};

/// The first day of the events. The last day is in another month.
const FIRST: &str = "2026-02-27T00:00:00.000Z";
const DAYS: u32 = 3;
const MEMBERS: u8 = 3;
const PRIMITIVES: [(&str, &str); 4] = [
    ("compute", "compute-hour"),
    ("transfer", "GB"),
    ("ltm", "GB-month"),
    ("stm", "GB-hour"),
];

#[derive(Debug, Clone, Copy)]
enum What {
    Minted,
    MintedForNobody,
    Burned,
    Transferred,
    Redeemed(usize),
    CardCreated,
    Held,
    Settled,
    Divided,
}

/// An event, how often it is delivered, and whether it is delivered once more under another id with the same
/// idempotency key.
#[derive(Debug, Clone)]
struct Happening {
    what: What,
    at: Timestamp,
    member: u8,
    other: u8,
    amount: Decimal,
    quantity: Decimal,
    copies: usize,
    repeated: bool,
}

fn happening() -> impl Strategy<Value = Happening> {
    let what = prop_oneof![
        3 => Just(What::Minted),
        1 => Just(What::MintedForNobody),
        2 => Just(What::Burned),
        3 => Just(What::Transferred),
        3 => (0..PRIMITIVES.len()).prop_map(What::Redeemed),
        1 => Just(What::CardCreated),
        1 => Just(What::Held),
        2 => Just(What::Settled),
        2 => Just(What::Divided),
    ];
    let first: Timestamp = FIRST.parse().expect("a moment");
    let at = (
        0..i64::from(DAYS) * 24,
        prop_oneof![Just(0), Just(3_599_999), 0..3_600_000_i64],
    );
    let at = at.prop_map(move |(hour, millis)| {
        let moment = first.unix_millis() + hour * 3_600_000 + millis;
        Timestamp::from_unix_millis(moment).expect("in range")
    });
    // Up to the largest amount: the sum of a few of these has more digits than a JSON number can carry.
    let amount = || {
        prop_oneof![
            Just(1_i64),
            Just(999_999_999_999_999),
            1..999_999_999_999_999_i64
        ]
        .prop_map(|steps| Decimal::new(steps, 6))
    };
    (
        what,
        at,
        0..MEMBERS,
        0..MEMBERS,
        amount(),
        amount(),
        1..4_usize,
        any::<bool>(),
    )
        .prop_map(
            |(what, at, member, other, amount, quantity, copies, repeated)| Happening {
                what,
                at,
                member,
                other,
                amount,
                quantity,
                copies,
                repeated,
            },
        )
}

fn member(number: u8) -> String {
    format!("member-{number}")
}

/// The same number of points as there are steps of a credit in the amount.
fn points(amount: Decimal) -> Points {
    Points::new(amount * Decimal::from(10_000)).expect("an amount")
}

/// The key of a row: member (none for all members together), start of the bucket, and type and part.
type Line = (Option<String>, Timestamp, String);
/// The number of events, their amounts, and either quantities or what was returned: no type has both.
type Sum = (u64, Decimal, Decimal);

impl Happening {
    fn named(&self) -> (&'static str, Value) {
        let amount = Credits::new(self.amount).expect("an amount");
        let base = json!({
            "transaction_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "amount": amount, "amount_usd": 0,
        });
        let own = json!({ "member_id": member(self.member), "member_name": "Ada" });
        let (name, more) = match self.what {
            What::Minted => ("cloud.minted", json!({ "balance_after": 0, "version": 1 })),
            What::MintedForNobody => ("cloud.minted", json!({ "balance_after": 0, "version": 1 })),
            What::Burned => ("cloud.burned", json!({ "reason": "spent", "version": 1 })),
            What::Transferred => (
                "cloud.transferred",
                json!({
                    "from_member_id": member(self.member), "from_member_name": "Ada",
                    "to_member_id": member(self.other), "to_member_name": "Bob",
                    "from_balance_after": 0, "to_balance_after": 0, "from_version": 1, "to_version": 1,
                }),
            ),
            What::Redeemed(primitive) => (
                "cloud.redeemed",
                json!({
                    "balance_after": 0, "primitive": PRIMITIVES[primitive].0, "unit": PRIMITIVES[primitive].1,
                    "quantity": Credits::new(self.quantity).expect("a quantity"),
                    "service_name": "habitat", "period_id": "q1", "rate_card_version": 1, "credits_per_unit": 1,
                    "version": 1,
                }),
            ),
            What::Held | What::Settled | What::Divided => return self.escrowed(),
            What::CardCreated => {
                return (
                    "cloud.rate_card_created",
                    json!({
                        "version": 1, "effective_date": self.at, "notice_date": self.at, "revision": 1,
                        "rates": { "compute": 1, "transfer": 1, "ltm": 1, "stm": 1 },
                        "proposed_by": member(self.member), "proposed_by_name": "Ada",
                    }),
                );
            }
        };
        let owned = matches!(self.what, What::Minted | What::Burned | What::Redeemed(_));
        let mut payload = serde_json::Map::new();
        for one in [Some(base), owned.then_some(own), Some(more)]
            .into_iter()
            .flatten()
        {
            payload.extend(one.as_object().expect("an object").clone());
        }
        (name, Value::Object(payload))
    }

    fn escrowed(&self) -> (&'static str, Value) {
        let (amount, rest) = (points(self.amount), points(self.quantity));
        let id = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
        let (name, more) = match self.what {
            What::Held => (
                "wallet.escrow_held",
                json!({
                    "amount": amount, "reason": "performance_request", "user_escrow_balance": 1,
                    "user_available_balance": 1, "queue_item_id": "q", "feature_type": "f", "request_id": "r",
                }),
            ),
            What::Settled => (
                "wallet.escrow_settled",
                json!({
                    "amount": amount, "model_id": member(self.other), "model_earned_balance": 1, "model_version": 1,
                }),
            ),
            _ => (
                "wallet.escrow_partial_settled",
                json!({
                    "settle_amount": amount, "refund_amount": rest, "model_id": member(self.other),
                    "user_available_balance": 1, "model_earned_balance": 1, "model_version": 1,
                }),
            ),
        };
        let mut payload = json!({
            "user_id": member(self.member), "escrow_id": id, "transaction_id": id, "user_version": 1, "version": 1,
        });
        let fields = payload.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        (name, payload)
    }

    /// The messages that are put into the lanes. All of them are the same fact.
    fn bodies(&self, flow: &Flow, number: usize) -> Vec<String> {
        let (name, payload) = self.named();
        let body = || {
            let text = flow
                .message(name, &payload.to_string())
                .expect("a contract");
            let mut envelope: Value = serde_json::from_str(&text).expect("JSON");
            envelope["occurred_at"] = json!(self.at);
            if self.repeated {
                envelope["idempotency_key"] = json!(format!("fact/{number}"));
            }
            envelope.to_string()
        };
        let mut bodies = vec![body(); self.copies];
        if self.repeated {
            bodies.push(body());
        }
        bodies
    }

    /// The lines that this event belongs to, stated as plainly as possible.
    fn lines(&self, bucket: Bucket) -> Vec<(Line, Sum)> {
        let text = self.at.to_string();
        let start = match bucket {
            Bucket::Hour => format!("{}:00:00.000Z", &text[..13]),
            Bucket::Day => format!("{}T00:00:00.000Z", &text[..10]),
        };
        let start: Timestamp = start.parse().expect("a moment");
        let (one, other) = (Some(member(self.member)), Some(member(self.other)));
        let (amount, quantity) = match self.what {
            What::CardCreated => (Decimal::ZERO, Decimal::ZERO),
            What::Redeemed(_) => (self.amount, self.quantity),
            What::Held | What::Settled => (points(self.amount).decimal(), Decimal::ZERO),
            What::Divided => (
                points(self.amount).decimal(),
                points(self.quantity).decimal(),
            ),
            _ => (self.amount, Decimal::ZERO),
        };
        let whose: Vec<(Option<String>, String)> = match self.what {
            What::MintedForNobody => vec![(None, "cloud.minted".into())],
            What::Minted => vec![(None, "cloud.minted".into()), (one, "cloud.minted".into())],
            What::Burned => vec![(None, "cloud.burned".into()), (one, "cloud.burned".into())],
            What::Held => vec![
                (None, "wallet.escrow_held".into()),
                (one, "wallet.escrow_held".into()),
            ],
            What::Transferred | What::Settled | What::Divided => {
                let (name, _) = self.named();
                vec![
                    (None, name.into()),
                    (one, format!("{name}#out")),
                    (other, format!("{name}#in")),
                ]
            }
            What::Redeemed(primitive) => {
                let line = format!("cloud.redeemed#{}", PRIMITIVES[primitive].0);
                vec![(None, line.clone()), (one, line)]
            }
            What::CardCreated => vec![
                (None, "cloud.rate_card_created".into()),
                (one, "cloud.rate_card_created".into()),
            ],
        };
        whose
            .into_iter()
            .map(|(whose, line)| ((whose, start, line), (1, amount, quantity)))
            .collect()
    }
}

fn stored(flow: &Flow, bucket: Bucket) -> BTreeMap<Line, Sum> {
    let from: Timestamp = FIRST.parse().expect("a moment");
    let mut lines = BTreeMap::new();
    for whose in (0..MEMBERS)
        .map(|number| Some(member(number)))
        .chain([None])
    {
        let wanted = Wanted {
            bucket,
            from,
            to: "2026-03-02T00:00:00.000Z".parse().expect("a moment"),
            kind: None,
            primitive: None,
            member_id: whose.as_ref().map(|id| id.parse().expect("an id")),
        };
        let read =
            flow.look(|site| async move { wanted.read(site.outbox(), &analytics_table()).await });
        for Figure {
            start,
            kind,
            part,
            sums,
        } in read.expect("reads")
        {
            let line = (whose.clone(), start, format!("{}{part}", kind.event_type));
            let sum = (sums.count, sums.amount, sums.quantity + sums.refunded);
            assert_eq!(lines.insert(line, sum), None, "each line is stored once");
        }
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counts_are_the_plain_sums_of_their_events_in_any_order_and_under_any_faults(
        seed in any::<u64>(),
        faults in any_faults(),
        happenings in prop::collection::vec(happening(), 1..24),
        shuffle in any::<u64>(),
    ) {
        let mut flow = Flow::builder(seed)
            .faults(faults)
            .consumer(|_| Analytics::new(analytics_table()))
            .build()
            .expect("a flow");
        let mut bodies: Vec<String> = happenings
            .iter()
            .enumerate()
            .flat_map(|(number, one)| one.bodies(&flow, number))
            .collect();
        bodies.shuffle(&mut StdRng::seed_from_u64(shuffle));
        for body in bodies {
            prop_assert!(flow.send(Analytics::NAME, body));
        }
        flow.drain().map_err(|error| TestCaseError::fail(error.to_string()))?;
        flow.set_faults(Faults::NONE);
        flow.redrive(Analytics::NAME);
        flow.drain().map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(flow.letters(Analytics::NAME), vec![]);

        for bucket in [Bucket::Hour, Bucket::Day] {
            let mut expected: BTreeMap<Line, Sum> = BTreeMap::new();
            for (line, (count, amount, quantity)) in happenings.iter().flat_map(|one| one.lines(bucket)) {
                let sum = expected.entry(line).or_default();
                *sum = (sum.0 + count, sum.1 + amount, sum.2 + quantity);
            }
            prop_assert_eq!(stored(&flow, bucket), expected);
        }
    }
}
