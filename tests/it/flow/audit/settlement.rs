//! Damage to payments and settlements, to what their events record, and to the feed.

use std::collections::BTreeSet;

use events::{
    Contract, Envelope,
    contracts::{payment, settlement},
};
use millrace::audit::{Kind, Options};
use outbox::{Item, Key};
use serde_json::{Value, json};
use testkit::flow::Faults;
use views::feed::{FeedRow, Head, Place};

use super::super::{
    drawn,
    world::{World, feed_table, settlement_orders, settlement_table},
};
use super::{Plant, Stand, add, each_is_named, named, summary};

/// What many commands leave in a run without faults.
pub(super) fn stand() -> Stand {
    let mut world = World::new(12, Faults::NONE, |builder| builder);
    world.fund();
    for orders in drawn(12, settlement_orders(120)).chunks(12) {
        world.hand_in(orders);
        world.flow.drain().expect("drains");
    }
    world.settle().expect("sound");
    Stand::of(&world)
}

fn state_of(event: &Envelope) -> Key {
    Stand::state(&settlement_table(), event)
}

fn row_at(position: u64) -> Key {
    FeedRow::key(&feed_table(), position)
}

impl Stand {
    /// The last event of this event's aggregate.
    fn last(&self, event: &Envelope) -> Envelope {
        let mut all = self.log.iter().rev();
        let last = all.find(|one| one.aggregate() == event.aggregate());
        last.expect("at least the event itself").clone()
    }

    /// The last event of a type of this event's aggregate.
    fn last_of<C: Contract>(&self, event: &Envelope) -> Envelope {
        let of_type = |one: &&Envelope| {
            one.event_type.as_str() == C::TYPE && one.aggregate() == event.aggregate()
        };
        self.log.iter().rev().find(of_type).expect("one").clone()
    }

    /// The creation of a settlement that is still in progress.
    fn begun(&self) -> Envelope {
        let ended = |event: &Envelope| {
            self.log.iter().any(|one| {
                let ends = [settlement::Settled::TYPE, settlement::Failed::TYPE];
                ends.contains(&one.event_type.as_str()) && one.aggregate() == event.aggregate()
            })
        };
        let created = |one: &&Envelope| one.event_type.as_str() == settlement::Created::TYPE;
        let mut all = self.log.iter().filter(created);
        let begun = all.find(|one| !ended(one));
        begun.expect("one in progress").clone()
    }

    /// Changes the payload in the event log and in the feed, so that only what follows from it is wrong.
    pub(super) fn retell_everywhere(&self, event: &Envelope, change: impl FnOnce(&mut Value)) {
        self.retell(event, change);
        let text = self.item(&Self::row(event))["envelope"].clone();
        self.change(&row_at(self.position(event)), |item| {
            item.insert("envelope".into(), text);
        });
    }

    fn place(event: &Envelope) -> Key {
        Place::key(&feed_table(), event.event_id)
    }

    fn position(&self, event: &Envelope) -> u64 {
        let place = self.item(&Self::place(event));
        place["position"].as_u64().expect("a position")
    }

    /// Adds a row to the feed, at the next position.
    fn feed(&self, mut row: Item) {
        let head = Head::key(&feed_table());
        let next = self.item(&head)["position"].as_u64().expect("a position") + 1;
        stands_at(&mut row, next);
        self.put(&feed_table(), row);
        self.change(&head, |item| {
            item.insert("position".into(), json!(next));
        });
    }
}

/// Sets a row's position.
fn stands_at(row: &mut Item, position: u64) {
    let key = row_at(position);
    row.insert("pk".into(), json!(key.pk));
    let sk = match key.sk {
        Some(outbox::SortKey::Text(sk)) => sk,
        other => panic!("{other:?}"),
    };
    row.insert("sk".into(), json!(sk));
    row.insert("position".into(), json!(position));
}

const PLANTED: &[(&str, Plant)] = &[
    ("a payment's status was changed by hand", |stand| {
        let event = stand.event::<payment::Refunded>();
        stand.change(&state_of(&event), |item| {
            item.insert("status".into(), json!("cancelled"));
        });
        let payload = stand.last_of::<payment::StatusChanged>(&event);
        (Kind::Books, named(&payload))
    }),
    ("a payment's refunds were summed up by hand", |stand| {
        let event = stand.event::<payment::Refunded>();
        stand.change(&state_of(&event), |item| {
            add(item, "refunded", &json!(0.01));
        });
        let refund = stand.last_of::<payment::Refunded>(&event);
        (Kind::Books, named(&refund))
    }),
    ("a payment was written without an event", |stand| {
        let event = stand.event::<payment::Created>();
        stand.change(&state_of(&event), |item| {
            add(item, "version", &json!(1));
        });
        (Kind::Books, named(&stand.last(&event)))
    }),
    ("a payment is gone", |stand| {
        let event = stand.event::<payment::StatusChanged>();
        stand.store.remove(&state_of(&event));
        (Kind::Books, named(&stand.last(&event)))
    }),
    (
        "a settlement's confirmations were changed by hand",
        |stand| {
            let event = stand.event::<settlement::ConfirmationProgress>();
            stand.change(&state_of(&event), |item| {
                add(item, "confirmations", &json!(1));
            });
            let payload = stand.last_of::<settlement::ConfirmationProgress>(&event);
            (Kind::Books, named(&payload))
        },
    ),
    ("a settlement was set to settled by hand", |stand| {
        let event = stand.event::<settlement::Failed>();
        stand.change(&state_of(&event), |item| {
            item.insert("status".into(), json!("settled"));
            item.remove("error");
        });
        let payload = stand.last_of::<settlement::StatusChanged>(&event);
        (Kind::Books, named(&payload))
    }),
    ("a finished settlement is listed as in progress", |stand| {
        let event = stand.event::<settlement::Settled>();
        stand.change(&state_of(&event), |item| {
            item.insert("open_status".into(), json!("confirmed"));
        });
        let payload = stand.last_of::<settlement::StatusChanged>(&event);
        (Kind::Books, named(&payload))
    }),
    ("a settlement is gone", |stand| {
        let event = stand.event::<settlement::Settled>();
        stand.store.remove(&state_of(&event));
        (Kind::Books, named(&event))
    }),
    (
        "a settlement counts an event that the log does not have",
        |stand| {
            let event = stand.event::<settlement::Settled>();
            stand.change(&state_of(&event), |item| {
                add(item, "last_sequence", &json!(1));
                add(item, "version", &json!(1));
            });
            (Kind::OutOfSequence, None)
        },
    ),
    ("a refund states another sum", |stand| {
        let event = stand.event::<payment::Refunded>();
        stand.retell(&event, |payload| {
            payload["refunded_total"] = json!(0.01);
        });
        (Kind::Books, named(&event))
    }),
    (
        "a transition starts at a status that was not reached",
        |stand| {
            let event = stand.event::<settlement::StatusChanged>();
            stand.retell(&event, |payload| {
                payload["from_status"] = json!("created");
            });
            (Kind::Books, named(&event))
        },
    ),
    ("a transition is left out", |stand| {
        let event = stand.event::<settlement::StatusChanged>();
        stand.retell(&event, |payload| {
            let number = payload["transition"].as_u64().expect("a number");
            payload["transition"] = json!(number + 1);
        });
        (Kind::Books, named(&event))
    }),
    ("an event states another network charge", |stand| {
        let event = stand.event::<settlement::Settled>();
        stand.retell(&event, |payload| {
            payload["gas_actual"] = json!("0.9");
        });
        (Kind::Books, named(&event))
    }),
    (
        "settlements of a payment come to more than was captured",
        |stand| {
            let event = stand.begun();
            // Its payment counts it as before, so only the comparison of both can find it.
            stand.retell_everywhere(&event, |payload| payload["amount"] = json!(20_000));
            stand.change(&state_of(&event), |item| {
                item.insert("amount".into(), json!(20_000));
            });
            (Kind::Books, None)
        },
    ),
    ("a settlement took nothing of its payment", |stand| {
        let event = stand.begun();
        stand.retell_everywhere(&event, |payload| {
            let fields = payload.as_object_mut().expect("an object");
            assert!(fields.remove("payment_version").is_some());
        });
        stand.change(&state_of(&event), |item| {
            assert!(item.remove("payment_version").is_some());
        });
        (Kind::Books, None)
    }),
    ("a payment counts other settlements than it has", |stand| {
        let event = stand.event::<payment::Allocated>();
        let last = stand.last_of::<payment::Allocated>(&event);
        stand.retell(&last, |payload| {
            payload["amount"] = json!(0.01);
        });
        (Kind::Books, named(&last))
    }),
    ("what a payment counts was changed by hand", |stand| {
        let event = stand.event::<payment::Allocated>();
        stand.change(&state_of(&event), |item| {
            add(item, "allocated", &json!(0.01));
        });
        (Kind::Books, None)
    }),
    ("the feed lost a row", |stand| {
        let event = stand.event::<payment::Refunded>();
        stand.store.remove(&row_at(stand.position(&event)));
        (Kind::Books, named(&event))
    }),
    ("the feed lost an event", |stand| {
        let event = stand.event::<payment::Refunded>();
        stand.store.remove(&row_at(stand.position(&event)));
        stand.store.remove(&Stand::place(&event));
        (Kind::Lost, named(&event))
    }),
    ("the feed lost a place", |stand| {
        let event = stand.event::<payment::Refunded>();
        stand.store.remove(&Stand::place(&event));
        (Kind::Books, named(&event))
    }),
    ("the feed has an event twice", |stand| {
        let event = stand.event::<settlement::Settled>();
        stand.feed(stand.item(&row_at(stand.position(&event))));
        (Kind::Doubled, named(&event))
    }),
    ("the feed turned two events round", |stand| {
        let event = stand.event::<settlement::Settled>();
        let before = event.sequence.number() - 1;
        let same = |one: &&Envelope| one.aggregate() == event.aggregate();
        let mut all = stand.log.iter().filter(same);
        let before = all.find(|one| one.sequence.number() == before);
        let before = before.expect("one before it");
        let (one, two) = (stand.position(before), stand.position(&event));
        let (mut first, mut second) = (stand.item(&row_at(one)), stand.item(&row_at(two)));
        stands_at(&mut first, two);
        stands_at(&mut second, one);
        stand.put(&feed_table(), first);
        stand.put(&feed_table(), second);
        for (event, position) in [(before, two), (&event, one)] {
            stand.change(&Stand::place(event), |item| {
                item.insert("position".into(), json!(position));
            });
        }
        (Kind::OutOfSequence, named(&event))
    }),
    ("the feed has an event with another content", |stand| {
        let event = stand.event::<payment::Refunded>();
        stand.change(&row_at(stand.position(&event)), |item| {
            let text = item["envelope"].as_str().expect("text");
            let damaged = text.replacen("refund_amount", "refunded_amount", 1);
            assert_ne!(text, damaged);
            item.insert("envelope".into(), json!(damaged));
        });
        (Kind::Books, named(&event))
    }),
    ("a row of the feed is torn", |stand| {
        let event = stand.event::<payment::Refunded>();
        stand.change(&row_at(stand.position(&event)), |item| {
            item.insert("envelope".into(), json!("{\"event_id\": "));
        });
        (Kind::Unreadable, None)
    }),
    ("the feed has an event that the log never had", |stand| {
        let event = stand.event::<payment::Refunded>();
        let nobodys = "00000000-0000-7000-8000-000000000003";
        let mut row = stand.item(&row_at(stand.position(&event)));
        let text = row["envelope"].as_str().expect("text");
        let mut envelope: Value = serde_json::from_str(text).expect("JSON");
        envelope["event_id"] = json!(nobodys);
        envelope["aggregate_id"] = json!(nobodys);
        row.insert("envelope".into(), json!(envelope.to_string()));
        stand.feed(row);
        (Kind::OutOfSequence, Some(nobodys.to_owned()))
    }),
    ("the feed's head was set back", |stand| {
        stand.change(&Head::key(&feed_table()), |item| {
            add(item, "position", &json!(-2));
        });
        (Kind::Books, None)
    }),
    ("the feed's head was set on", |stand| {
        stand.change(&Head::key(&feed_table()), |item| {
            add(item, "position", &json!(2));
        });
        (Kind::OutOfSequence, None)
    }),
];

#[test]
fn each_thing_that_is_damaged_of_settlements_and_the_feed_is_named_and_nothing_else_is() {
    each_is_named(PLANTED, stand);
}

#[test]
fn a_settlement_of_no_payment_or_in_another_currency_is_named() {
    let nobodys = "00000000-0000-7000-8000-000000000004";
    for name in ["payment_id", "currency"] {
        let stand = stand();
        let event = stand.event::<settlement::Created>();
        let created: settlement::Created = Stand::payload(&event);
        let value = match (name, created.currency) {
            ("payment_id", _) => json!(nobodys),
            (_, payment::Currency::Usd) => json!("EUR"),
            (_, payment::Currency::Eur) => json!("USD"),
        };
        stand.retell(&event, |payload| payload[name] = value.clone());
        stand.change(&state_of(&event), |item| {
            item.insert(name.to_owned(), value.clone());
        });
        let report = stand.settled();
        let id = event.event_id.to_string();
        assert_eq!(
            summary(&report),
            [(Kind::Books, Some(id.as_str()))],
            "{report}"
        );
    }
}

#[test]
fn an_audit_of_one_payment_or_settlement_sees_that_and_no_other() {
    let stand = stand();
    let (refunded, settled) = (
        stand.event::<payment::Refunded>(),
        stand.event::<settlement::Settled>(),
    );
    stand.change(&state_of(&refunded), |item| {
        add(item, "refunded", &json!(0.01));
    });
    stand.store.remove(&row_at(stand.position(&settled)));
    let mut seen = BTreeSet::new();
    let mut damaged = 0;
    for event in &stand.log {
        let aggregate = event.aggregate();
        let (kind, id) = aggregate.split_once('#').expect("two parts");
        if !["payment", "settlement"].contains(&kind) || !seen.insert(aggregate.clone()) {
            continue;
        }
        let report = stand.audit(&Options {
            settled: true,
            scope: vec![(kind.to_owned(), id.to_owned())],
            ..Options::default()
        });
        let is_damaged = [refunded.aggregate(), settled.aggregate()].contains(&aggregate);
        assert_eq!(report.findings.len(), usize::from(is_damaged), "{report}");
        let count = |domain: &str, name: &str| report.count(domain, name).expect(name);
        let rebuilt = count("settlement", "payments") + count("settlement", "settlements");
        assert_eq!(rebuilt, 1, "{report}");
        let lost = u64::from(aggregate == settled.aggregate());
        assert_eq!(
            count("feed", "fed") + lost,
            report.counts.events,
            "{report}"
        );
        damaged += usize::from(is_damaged);
    }
    assert!(damaged == 2 && seen.len() >= 8, "{}", seen.len());
}

#[test]
fn what_the_feed_let_go_is_no_finding() {
    let mut stand = stand();
    stand.now = stand.now.plus(views::feed::LEAST_LIFE);
    let event = stand.event::<payment::Refunded>();
    stand.store.remove(&row_at(stand.position(&event)));
    stand.store.remove(&Stand::place(&event));
    let report = stand.settled();
    assert!(report.clean, "{report}");
    assert_eq!(report.count("feed", "fed"), Some(0), "{report}");
}
