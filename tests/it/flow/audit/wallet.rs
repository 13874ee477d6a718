//! Damage to wallets: accounts, entries, read models, escrows, and what events record of them.

use events::{
    Contract, Envelope,
    contracts::wallet::{
        AccountType, BalanceState, BalanceUpdated, Deposited, EscrowHeld, EscrowRefunded,
    },
};
use millrace::audit::{Kind, Options, Report};
use outbox::{Key, Store};
use serde_json::{Value, json};
use testkit::flow::Faults;

use super::super::{
    drawn,
    world::{World, wallet_orders, wallet_table},
};
use super::{Plant, Stand, add, each_is_named, events_table, named, now, summary};

/// What many movements leave in a run without faults.
fn stand() -> Stand {
    let mut world = World::new(11, Faults::NONE, |builder| builder);
    world.register_everybody();
    world.flow.drain().expect("drains");
    world.fund();
    // In small groups: points must be held before an escrow can end.
    for orders in drawn(11, wallet_orders(160)).chunks(12) {
        world.hand_in(orders);
        world.flow.drain().expect("drains");
    }
    world.settle().expect("sound");
    Stand::of(&world)
}

fn state_of(event: &Envelope) -> Key {
    Stand::state(&wallet_table(), event)
}

/// The key of an entry: the one that the event names, or the one this many places after it.
fn entry_of(event: &Envelope, after: u64) -> Key {
    let update: BalanceUpdated = Stand::payload(event);
    let (_, number) = update
        .ledger_entry_id
        .as_str()
        .rsplit_once('/')
        .expect("two parts");
    let number: u64 = number.parse().expect("a number");
    wallet_table().key(event.aggregate(), format!("entry#{:016}", number + after))
}

fn row_of(event: &Envelope) -> Key {
    let update: BalanceUpdated = Stand::payload(event);
    wallet_table().key(
        event.aggregate(),
        format!("balance#{}", update.balance_state),
    )
}

impl Stand {
    /// The last balance change by a deposit, and the deposit.
    fn deposit(&self) -> (Envelope, Envelope) {
        let deposited = self.event::<Deposited>();
        let id = Stand::payload::<Deposited>(&deposited).transaction_id;
        let mut updates = self.log.iter().filter(|event| {
            event.event_type.as_str() == BalanceUpdated::TYPE
                && Stand::payload::<BalanceUpdated>(event).transaction_id == id
        });
        let updated = updates.next_back().expect("a balance").clone();
        (updated, deposited)
    }
}

const PLANTED: &[(&str, Plant)] = &[
    ("a balance was raised twice", |stand| {
        let (updated, deposited) = stand.deposit();
        let amount = Stand::payload::<Deposited>(&deposited).amount;
        stand.change(&state_of(&updated), |item| {
            add(item, "available", &json!(amount));
        });
        // Another event of the same size would explain it too.
        (Kind::Doubled, None)
    }),
    ("a balance was changed by hand", |stand| {
        let event = stand.event::<BalanceUpdated>();
        stand.change(&state_of(&event), |item| {
            add(item, "earned", &json!(123_456.78));
        });
        (Kind::Books, None)
    }),
    ("an entry is gone", |stand| {
        let event = stand.event::<BalanceUpdated>();
        stand.store.remove(&entry_of(&event, 0));
        (Kind::Books, named(&event))
    }),
    ("an entry of the world outside is gone", |stand| {
        let (updated, deposited) = stand.deposit();
        stand.store.remove(&entry_of(&updated, 1));
        (Kind::Books, named(&deposited))
    }),
    ("an entry was changed by hand", |stand| {
        let event = stand.event::<BalanceUpdated>();
        stand.change(&entry_of(&event, 0), |item| {
            add(item, "amount", &json!(0.01));
        });
        (Kind::Books, named(&event))
    }),
    ("an entry names another movement", |stand| {
        let event = stand.event::<BalanceUpdated>();
        stand.change(&entry_of(&event, 0), |item| {
            let nobodys = "00000000-0000-7000-8000-000000000001";
            item.insert("transaction_id".into(), json!(nobodys));
        });
        (Kind::Books, named(&event))
    }),
    ("an entry was written twice", |stand| {
        // The account's last entry is in the ledger of the outside world.
        let (updated, _) = stand.deposit();
        let account = stand.item(&state_of(&updated));
        let last = account["last_entry"].as_u64().expect("a number");
        let key = |number| wallet_table().key(updated.aggregate(), format!("entry#{number:016}"));
        let mut item = stand.item(&key(last));
        item.insert("sk".into(), json!(format!("entry#{:016}", last + 1)));
        item.insert("number".into(), json!(last + 1));
        now(stand.store.put_all(&wallet_table(), &[item])).expect("written");
        (Kind::OutOfSequence, None)
    }),
    ("entries were counted by hand", |stand| {
        let event = stand.event::<BalanceUpdated>();
        stand.change(&state_of(&event), |item| {
            add(item, "last_entry", &json!(2));
        });
        (Kind::Books, None)
    }),
    ("an account was written without an event", |stand| {
        let event = stand.event::<BalanceUpdated>();
        stand.change(&state_of(&event), |item| {
            add(item, "version", &json!(1));
        });
        (Kind::Books, None)
    }),
    ("an account is gone", |stand| {
        let event = stand.event::<BalanceUpdated>();
        stand.store.remove(&state_of(&event));
        (Kind::Books, None)
    }),
    ("a read model's row was changed by hand", |stand| {
        let event = stand.event::<BalanceUpdated>();
        stand.change(&row_of(&event), |item| {
            add(item, "balance", &json!(0.01));
        });
        (Kind::Books, named(&event))
    }),
    ("a read model's row is ahead of its account", |stand| {
        let event = stand.event::<BalanceUpdated>();
        stand.change(&row_of(&event), |item| {
            add(item, "version", &json!(1_000));
        });
        (Kind::Books, None)
    }),
    ("a read model's row is gone", |stand| {
        let event = stand.event::<BalanceUpdated>();
        let row = row_of(&event);
        stand.store.remove(&row);
        // All events of the row are missing then, and the audit reports the last.
        stand.log.retain(|one| {
            let of_row = one.event_type.as_str() == BalanceUpdated::TYPE && row_of(one) == row;
            !of_row || one.event_id == event.event_id
        });
        (Kind::Lost, named(&event))
    }),
    ("an escrow was changed by hand", |stand| {
        let event = stand.event::<EscrowRefunded>();
        stand.change(&state_of(&event), |item| {
            item.insert("status".into(), json!("settled"));
        });
        (Kind::Books, named(&event))
    }),
    ("an escrow is gone", |stand| {
        let event = stand.event::<EscrowRefunded>();
        stand.store.remove(&state_of(&event));
        (Kind::Books, named(&event))
    }),
    (
        "an escrow's event states another balance than its account's event",
        |stand| {
            let event = stand.event::<EscrowRefunded>();
            stand.retell(&event, |payload| {
                payload["user_available_balance"] = json!(0.01);
            });
            (Kind::Books, named(&event))
        },
    ),
];

#[test]
fn each_thing_that_is_damaged_of_wallets_is_named_and_nothing_else_is() {
    each_is_named(PLANTED, stand);
}

#[test]
fn an_escrow_that_ended_twice_is_doubled() {
    let stand = stand();
    let event = stand.event::<EscrowRefunded>();
    let again = "00000000-0000-7000-8000-000000000002";
    let next = event.sequence.number() + 1;
    let mut item = stand.item(&Stand::row(&event));
    let mut envelope: Value =
        serde_json::from_str(item["envelope"].as_str().expect("text")).expect("JSON");
    envelope["event_id"] = json!(again);
    envelope["sequence"] = json!(next);
    envelope["idempotency_key"] = json!("another");
    envelope["payload"]["version"] = json!(next);
    for (name, value) in [
        ("event_id", json!(again)),
        ("sequence", json!(next)),
        ("envelope", json!(envelope.to_string())),
    ] {
        item.insert(name.to_owned(), value);
    }
    now(stand.store.put_all(&events_table(), &[item])).expect("written");
    let report = stand.settled();
    let named = summary(&report);
    assert!(named.contains(&(Kind::Doubled, Some(again))), "{report}");
}

#[test]
fn an_account_whose_event_left_the_log_is_out_of_sequence() {
    let stand = stand();
    let (updated, _) = stand.deposit();
    stand.store.remove(&Stand::row(&updated));
    let report = stand.settled();
    assert!(!report.clean, "{report}");
    // Balances cause no finding: they follow from the entries.
    let only = |report: &Report| {
        let mut kinds = report.findings.iter().map(|one| one.kind);
        kinds.all(|kind| kind == Kind::OutOfSequence)
    };
    assert!(only(&report), "{report}");
}

#[test]
fn an_audit_of_one_wallet_or_escrow_sees_that_and_no_other() {
    let stand = stand();
    let (updated, _) = stand.deposit();
    let ended = stand.event::<EscrowRefunded>();
    stand.change(&state_of(&updated), |item| {
        add(item, "available", &json!(123_456.78));
    });
    stand.change(&state_of(&ended), |item| {
        item.insert("status".into(), json!("settled"));
    });
    let mut damaged = 0;
    let (mut wallets, mut escrows) = (0, 0);
    let mut seen = std::collections::BTreeSet::new();
    for event in &stand.log {
        let aggregate = event.aggregate();
        if !seen.insert(aggregate.clone()) {
            continue;
        }
        let (kind, id) = aggregate.split_once('#').expect("two parts");
        let report = stand.audit(&Options {
            settled: true,
            scope: vec![(kind.to_owned(), id.to_owned())],
            ..Options::default()
        });
        let is_damaged = [updated.aggregate(), ended.aggregate()].contains(&aggregate);
        assert_eq!(report.findings.len(), usize::from(is_damaged), "{report}");
        assert_eq!(report.figure("wallet", "deposited"), None);
        damaged += usize::from(is_damaged);
        let count = |name: &str| report.count("wallet", name).expect(name);
        wallets += usize::from(count("ledger_entries") > 0);
        escrows += usize::from(kind == EscrowHeld::AGGREGATE && count("escrows") == 1);
    }
    assert_eq!(damaged, 2);
    assert!(
        wallets > 4 && escrows > 5,
        "{wallets} wallets, {escrows} escrows"
    );
    // A member can be both.
    let both = |state: BalanceState| {
        let of = stand
            .log
            .iter()
            .filter(|event| event.event_type.as_str() == BalanceUpdated::TYPE);
        let update = of.map(Stand::payload::<BalanceUpdated>);
        let of_state = update.filter(|update| update.balance_state == state);
        of_state
            .map(|update| (update.account_id, update.account_type))
            .collect::<std::collections::BTreeSet<_>>()
    };
    let (users, models) = (both(BalanceState::Available), both(BalanceState::Earned));
    assert!(
        users
            .iter()
            .any(|(id, _)| models.contains(&(id.clone(), AccountType::Model)))
    );
}
