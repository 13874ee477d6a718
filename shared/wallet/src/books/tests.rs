use events::{
    Cause, Draft, EscrowId, ExternalReference, MemberId, Points, Sequence, Stamp, Text, Timestamp,
    contracts::wallet::{AccountType, BalanceState},
};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::*;
use crate::{
    CommandContext, Escrow, HoldReason, Holding, Posting,
    balances::BalanceRow,
    escrow::{self, Held, Hold, Parts},
    ledger::LedgerEntry,
    outside,
};

fn points(amount: i64) -> Points {
    Points::new(amount.into()).expect("points")
}

fn reference() -> ExternalReference {
    ExternalReference::new("bank/1").expect("a reference")
}

fn number(number: u64) -> Sequence {
    Sequence::new(number).expect("a number")
}

fn seconds(seconds: u64) -> Timestamp {
    let millis = i64::try_from(seconds * 1_000).expect("few");
    Timestamp::from_unix_millis(millis).expect("a moment")
}

/// The accounts, entries, escrow and event log of the same movements, as a deployed stack would store them.
#[derive(Default)]
struct World {
    log: Vec<Envelope>,
    accounts: BTreeMap<String, StoredAccount>,
    escrow: Option<(u64, Escrow)>,
    movements: u64,
}

impl World {
    fn context(&mut self) -> CommandContext {
        self.movements += 1;
        CommandContext {
            transaction_id: Uuid::from_u128(self.movements.into()).into(),
            now: seconds(self.movements),
        }
    }

    fn holding(&self, account_type: AccountType) -> Holding {
        let ada = MemberId::new("ada").expect("an id");
        let stored = self.accounts.get(&account_type.account(&ada));
        let (version, account) = stored.and_then(|one| one.account).unwrap_or_default();
        Holding {
            account_type,
            account_id: ada,
            account,
            next_version: number(version + 1),
            next_entries: [
                number(account.last_entry() + 1),
                number(account.last_entry() + 2),
            ],
        }
    }

    fn tell<C: Contract>(&mut self, event: &C, now: Timestamp, sequence: u64) {
        let id = 0x0000_0000_0000_7000_8000_0000_0000_0000 + self.log.len() as u128;
        let stamp = Stamp {
            event_id: EventId::new(Uuid::from_u128(id)).expect("an id"),
            sequence: number(sequence),
            now,
            cause: &Cause::default(),
        };
        self.log
            .push(Draft::of(event).expect("a draft").seal(&stamp));
    }

    fn post(&mut self, posting: &Posting, now: Timestamp) {
        for update in &posting.updates {
            self.tell(update, now, 1);
        }
        let id = posting.account_type.account(&posting.account_id);
        let stored = self.accounts.entry(id).or_default();
        stored.account = Some((posting.version.number(), posting.account));
        for update in &posting.updates {
            stored
                .rows
                .retain(|row| row.balance_state != update.balance_state);
            stored.rows.push(BalanceRow::of(update, now));
        }
        for entry in &posting.entries {
            stored.entries.insert(entry.number.number(), entry.clone());
        }
    }

    fn moved<E: Contract>(&mut self, moving: &escrow::Moving<E>, now: Timestamp) {
        let version = self.escrow.as_ref().map_or(1, |(version, _)| version + 1);
        self.tell(&moving.event, now, version);
        for posting in moving.postings().cloned().collect::<Vec<_>>() {
            self.post(&posting, now);
        }
        self.escrow = Some((version, moving.escrow.clone()));
    }

    /// A deposit of 10 points; 6 of them are held and divided, and 1 is withdrawn.
    fn busy() -> Self {
        let mut world = Self::default();
        let context = world.context();
        let user = world.holding(AccountType::User);
        let deposit =
            outside::deposit(&user, points(10), reference(), None, &context).expect("allowed");
        world.tell(&deposit.event, context.now, 1);
        world.post(&deposit.posting, context.now);
        let context = world.context();
        let hold = Hold {
            escrow_id: EscrowId::from(Uuid::from_u128(77)),
            amount: points(6),
            reason: HoldReason::Tip,
            queue_item_id: Text::new("queue").expect("a text"),
            feature_type: Text::new("song").expect("a text"),
            request_id: Text::new("request").expect("a text"),
        };
        let user = world.holding(AccountType::User);
        let held = escrow::hold(&user, hold, number(1), &context).expect("allowed");
        world.moved(&held, context.now);
        let context = world.context();
        let (_, escrow) = world.escrow.clone().expect("held");
        let held = Held {
            escrow: &escrow,
            next_version: number(2),
        };
        let parts = Parts {
            refund: points(2),
            settle: points(4),
        };
        let user = world.holding(AccountType::User);
        let model = world.holding(AccountType::Model);
        let divided = escrow::partial_settle(&held, &user, &model, parts, &context);
        world.moved(&divided.expect("allowed"), context.now);
        let context = world.context();
        let model = world.holding(AccountType::Model);
        let withdrawn =
            outside::withdraw(&model, points(1), reference(), None, &context).expect("allowed");
        world.tell(&withdrawn.event, context.now, 1);
        world.post(&withdrawn.posting, context.now);
        world
    }

    fn books(&self) -> Books {
        let mut books = Books::default();
        for event in &self.log {
            assert!(books.enter(event).expect("readable"));
        }
        books
    }

    fn check(&self, account: &str, since: Option<Timestamp>) -> Checked {
        let stored = self.accounts.get(account).cloned().unwrap_or_default();
        check_account(self.books().account(account), &stored, since)
    }
}

const USER: &str = "user-ada";
const MODEL: &str = "model-ada";

#[test]
fn sound_books_have_nothing_wrong() {
    let world = World::busy();
    let books = world.books();
    for account in [USER, MODEL] {
        assert_eq!(world.check(account, None), Checked::default(), "{account}");
    }
    assert_eq!(books.accounts().collect::<Vec<_>>(), [MODEL, USER]);
    let (version, escrow) = world.escrow.as_ref().expect("held");
    let id = escrow.escrow_id().to_string();
    assert_eq!(books.escrows().collect::<Vec<_>>(), [id.as_str()]);
    assert_eq!(
        check_escrow(books.escrow(&id), Some((*version, escrow))),
        []
    );
    assert_eq!(books.across(None), (Vec::new(), 0));
    let sums = (books.deposited, books.withdrawn);
    assert_eq!(sums, (Decimal::from(10), Decimal::ONE));
    let nobody = check_account(&[], &StoredAccount::default(), None);
    assert_eq!(nobody, Checked::default());
}

type Damage = fn(&mut StoredAccount);
type Named = fn(&Wrong) -> bool;

#[test]
fn every_damage_to_an_account_is_named() {
    let damages: [(Damage, Named); 9] = [
        (
            |stored| drop(stored.entries.remove(&3)),
            |wrong| matches!(wrong, Wrong::EntryMissing { number: 3, .. }),
        ),
        (
            // An external entry: no event names its number.
            |stored| drop(stored.entries.remove(&2)),
            |wrong| matches!(wrong, Wrong::EntryMissing { number: 2, .. }),
        ),
        (
            |stored| {
                let mut again: LedgerEntry = stored.entries[&6].clone();
                again.number = number(7);
                stored.entries.insert(7, again);
            },
            |wrong| matches!(wrong, Wrong::EntryUnrecorded { number: 7, .. }),
        ),
        (
            |stored| stored.entries.get_mut(&4).expect("there").balance_after = Some(points(9)),
            |wrong| matches!(wrong, Wrong::OtherEntry { number: 4, differing, .. } if *differing == ["balance"]),
        ),
        (
            |stored| stored.account.as_mut().expect("there").1.damage(16),
            |wrong| {
                matches!(
                    wrong,
                    Wrong::Balance {
                        state: BalanceState::Available,
                        as_if: AsIf::Twice(_) | AsIf::Never(_),
                        ..
                    }
                )
            },
        ),
        (
            |stored| stored.account.as_mut().expect("there").0 = 2,
            |wrong| {
                matches!(
                    wrong,
                    Wrong::Behind {
                        recorded: 3,
                        stored: 2,
                        ..
                    }
                )
            },
        ),
        (
            |stored| stored.account.as_mut().expect("there").0 = 4,
            |wrong| matches!(wrong, Wrong::VersionUnrecorded { version: 4 }),
        ),
        (
            |stored| stored.account = None,
            |wrong| matches!(wrong, Wrong::NoAccount { .. }),
        ),
        (
            |stored| stored.rows[0].version = number(9),
            |wrong| matches!(wrong, Wrong::RowUnrecorded { version: 9, .. }),
        ),
    ];
    for (place, (damage, named)) in damages.into_iter().enumerate() {
        let mut world = World::busy();
        damage(world.accounts.get_mut(USER).expect("there"));
        let checked = world.check(USER, None);
        assert!(
            matches!(checked.wrong.as_slice(), [one] if named(one)),
            "{place}: {checked:?}"
        );
        assert_eq!(checked.moving, 0);
    }
}

#[test]
fn what_moved_while_the_log_was_read_is_left_alone() {
    let mut world = World::busy();
    // The log was read before the last two movements.
    world.log.truncate(5);
    let checked = world.check(USER, Some(seconds(3)));
    assert_eq!(
        (checked.wrong.as_slice(), checked.moving > 0),
        (&[][..], true)
    );
    let checked = world.check(MODEL, Some(seconds(3)));
    assert_eq!(
        (checked.wrong.as_slice(), checked.moving > 0),
        (&[][..], true)
    );
    // Without `moving_since`, the same is a fault.
    assert!(!world.check(USER, None).wrong.is_empty());
    // The entries were read before the last movement, too.
    let stored = world.accounts.get_mut(USER).expect("there");
    stored.entries.retain(|number, _| *number <= 4);
    let checked = world.check(USER, Some(seconds(3)));
    assert_eq!(
        (checked.wrong.as_slice(), checked.moving > 0),
        (&[][..], true)
    );
}

#[test]
fn an_event_told_twice_is_one_too_many() {
    let mut world = World::busy();
    let updated = |event: &&Envelope| event.event_type.as_str() == BalanceUpdated::TYPE;
    let mut again = world.log.iter().find(updated).expect("there").clone();
    again.event_id =
        EventId::new(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_9999)).expect("an id");
    world.log.push(again);
    let checked = world.check(USER, None);
    assert!(
        matches!(checked.wrong.as_slice(), [Wrong::MovedTwice { .. }]),
        "{checked:?}"
    );
}

#[test]
fn an_escrow_that_is_not_what_its_events_say_is_named() {
    let world = World::busy();
    let books = world.books();
    let (version, escrow) = world.escrow.expect("held");
    let recorded = books.escrow(&escrow.escrow_id().to_string()).to_vec();
    let twice = [recorded.clone(), vec![recorded[1].clone()]].concat();
    assert!(matches!(
        check_escrow(&twice, None).as_slice(),
        [WrongEscrow::EndedTwice { .. }]
    ));
    let again = [vec![recorded[0].clone()], recorded.clone()].concat();
    assert!(matches!(
        check_escrow(&again, None).as_slice(),
        [WrongEscrow::HeldAgain { .. }]
    ));
    let mut first = recorded[1].clone();
    first.sequence = 1;
    assert!(matches!(
        check_escrow(&[first], None).as_slice(),
        [WrongEscrow::NotHeldFirst { .. }]
    ));
    let mut other = serde_json::to_value(&escrow).expect("serialises");
    other["refund_amount"] = serde_json::json!(points(3));
    let other: Escrow = serde_json::from_value(other).expect("an escrow");
    assert!(matches!(
        check_escrow(&recorded, Some((version, &other))).as_slice(),
        [WrongEscrow::OtherState { differing, .. }] if *differing == ["refunded part"]
    ));
}

#[test]
fn a_movement_that_only_one_side_tells_is_named() {
    let world = World::busy();
    let mut books = Books::default();
    for event in &world.log {
        if event.aggregate_type.as_str() != EscrowHeld::AGGREGATE {
            books.enter(event).expect("readable");
        }
    }
    let (wrong, moving) = books.across(None);
    assert_eq!((wrong.len(), moving), (5, 0));
    // The escrows' events can have been read before these.
    assert_eq!(books.across(Some(seconds(2))), (Vec::new(), 5));
}
