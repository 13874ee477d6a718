use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn credits(text: &str) -> Credits {
    text.parse().expect("an amount")
}

fn member(id: &str) -> MemberId {
    MemberId::new(id).expect("an id")
}

fn name() -> Text<200> {
    Text::new("Ada").expect("a name")
}

fn holder(id: &str) -> Holder {
    Holder {
        member_id: member(id),
        name: name(),
    }
}

fn moment(number: u128) -> Moment {
    Moment {
        transaction_id: Uuid::from_u128(number).into(),
        now: Timestamp::EPOCH,
        rate: "10".parse().expect("a rate"),
    }
}

fn position(balance: &str, next_version: u64) -> Position {
    Position {
        balance: credits(balance),
        next_version: Sequence::new(next_version).expect("a version"),
    }
}

fn mint_of(holder: Option<Holder>, amount: Credits) -> Mint {
    Mint {
        holder,
        amount,
        stripe_charge_id: None,
        stripe_payment_intent_id: None,
        description: None,
    }
}

fn burn_of(holder: Option<Holder>, amount: Credits) -> Burn {
    Burn {
        holder,
        amount,
        reason: Text::new("refund").expect("a reason"),
        description: None,
    }
}

fn transfer_of(from: &str, to: &str, amount: Credits) -> Result<Transfer, Refusal> {
    Ok(Transfer {
        parties: Parties::new(member(from), member(to))?,
        from_name: name(),
        to_name: name(),
        amount,
        description: None,
    })
}

#[test]
fn a_mint_raises_the_balance_and_states_its_value() {
    let command = mint_of(Some(holder("a")), credits("2.5"));
    let minting = mint(position("1", 4), None, command, &moment(1)).expect("allowed");
    assert_eq!(minting.account.balance, credits("3.5"));
    assert_eq!(minting.event.amount_usd.to_string(), "25.00");
    assert_eq!(minting.event.version.number(), 4);
    assert_eq!(minting.event.aggregate_id().as_str(), "a");
}

#[test]
fn credits_of_nobody_come_to_and_go_from_the_unallocated_account() {
    let minting = mint(
        position("0", 1),
        None,
        mint_of(None, credits("5")),
        &moment(1),
    );
    let minting = minting.expect("allowed");
    assert_eq!(minting.event.aggregate_id().as_str(), "unallocated");
    let burning = burn(position("5", 2), burn_of(None, credits("5")), &moment(2));
    let burning = burning.expect("allowed");
    assert_eq!(burning.event.aggregate_id().as_str(), "unallocated");
    assert_eq!(burning.account.balance, Credits::ZERO);
}

#[test]
fn a_charge_is_minted_once_whoever_asks() {
    let before = MintedCharge {
        transaction_id: Uuid::from_u128(7).into(),
        minted_at: Timestamp::EPOCH,
    };
    let command = mint_of(Some(holder("b")), credits("1"));
    let refusal = mint(position("0", 1), Some(&before), command, &moment(1));
    let first = before.transaction_id;
    assert_eq!(refusal, Err(Refusal::ChargeAlreadyMinted { first }));
}

#[test]
fn what_is_not_there_can_neither_be_burned_nor_transferred() {
    let short = Refusal::InsufficientBalance {
        available: credits("1"),
        needed: credits("1.000001"),
    };
    let needed = credits("1.000001");
    let burned = burn(
        position("1", 2),
        burn_of(Some(holder("a")), needed),
        &moment(1),
    );
    assert_eq!(burned, Err(short.clone()));
    let command = transfer_of("a", "b", needed).expect("two members");
    let moved = transfer(position("1", 2), position("0", 1), command, &moment(1));
    assert_eq!(moved, Err(short));
}

#[test]
fn nobody_transfers_to_themselves_and_nothing_is_no_amount() {
    let oneself = transfer_of("a", "a", credits("1"));
    assert_eq!(oneself.err(), Some(Refusal::TransferToOneself));
    let nothing = mint(
        position("0", 1),
        None,
        mint_of(None, Credits::ZERO),
        &moment(1),
    );
    assert_eq!(nothing, Err(Refusal::AmountNotPositive));
    let nothing = burn(position("1", 2), burn_of(None, Credits::ZERO), &moment(1));
    assert_eq!(nothing, Err(Refusal::AmountNotPositive));
    let command = transfer_of("a", "b", Credits::ZERO).expect("two members");
    let nothing = transfer(position("1", 2), position("0", 1), command, &moment(1));
    assert_eq!(nothing, Err(Refusal::AmountNotPositive));
}

#[test]
fn a_balance_beyond_what_can_be_carried_is_refused() {
    let full = Position {
        balance: Credits::new(Credits::max()).expect("the largest"),
        next_version: Sequence::new(2).expect("a version"),
    };
    let refused = Err(Refusal::BalanceTooLarge {
        max: Credits::max(),
    });
    let least = credits("0.000001");
    let minted = mint(full, None, mint_of(None, least), &moment(1));
    assert_eq!(minted.map(drop), refused);
    let command = transfer_of("a", "b", least).expect("two members");
    let moved = transfer(position("1", 2), full, command, &moment(1));
    assert_eq!(moved.map(drop), refused);
}

#[test]
fn charge_ids_fit_the_facts_they_name() {
    let longest = "c".repeat(ChargeId::MAX_LENGTH);
    assert!(ChargeId::new(longest.as_str()).is_ok_and(|charge| charge.fact().is_ok()));
    for text in ["", "a#b", "a b", "a\nb", "\u{e4}", &format!("{longest}c")] {
        assert_eq!(ChargeId::new(text), Err(ChargeIdError), "{text:?}");
    }
}

#[test]
fn statement_lines_sort_by_version_as_text() {
    let table = Table::domain("cloud");
    let key = |number| Movement::key(&table, "a", Sequence::new(number).expect("a version"));
    assert!(key(9).sk < key(10).sk);
    assert!(key(Sequence::MAX - 1).sk < key(Sequence::MAX).sk);
}

/// The books as a naive reader keeps them, beside what the decisions say.
#[derive(Default)]
struct Books {
    accounts: BTreeMap<String, (Credits, u64)>,
    minted: Decimal,
    burned: Decimal,
    lines: BTreeMap<String, Vec<Movement>>,
}

impl Books {
    fn position(&self, id: &str) -> Position {
        let (balance, version) = self.accounts.get(id).copied().unwrap_or_default();
        Position {
            balance,
            next_version: Sequence::new(version + 1).expect("a version"),
        }
    }

    fn put(&mut self, id: &str, account: Account, line: Movement) {
        let entry = self.accounts.entry(id.to_owned()).or_default();
        *entry = (account.balance, entry.1 + 1);
        self.lines.entry(id.to_owned()).or_default().push(line);
    }
}

#[derive(Debug, Clone)]
enum Asked {
    Mint(Option<u8>, Credits),
    Transfer(u8, u8, Credits),
    Burn(Option<u8>, Credits),
}

fn asked() -> impl Strategy<Value = Asked> {
    let amount = prop_oneof![
        8 => 0_i64..5_000_000,
        // Near the edge of what an account can hold.
        1 => 999_999_990_000_000_i64..=999_999_999_999_999,
    ]
    .prop_map(|units| Credits::new(Decimal::new(units, 6)).expect("in range"));
    let who = || prop::option::weighted(0.8, 0_u8..3);
    prop_oneof![
        (who(), amount.clone()).prop_map(|(who, amount)| Asked::Mint(who, amount)),
        (0_u8..3, 0_u8..3, amount.clone())
            .prop_map(|(from, to, amount)| Asked::Transfer(from, to, amount)),
        (who(), amount).prop_map(|(who, amount)| Asked::Burn(who, amount)),
    ]
}

fn id_of(who: u8) -> String {
    format!("m{who}")
}

fn account_of(who: Option<u8>) -> String {
    who.map_or_else(|| UNALLOCATED.to_owned(), id_of)
}

proptest! {
       #[test]
       fn whatever_is_asked_the_books_balance(commands in prop::collection::vec(asked(), 1..60)) {
           let mut books = Books::default();
           for (number, command) in commands.into_iter().enumerate() {
               let moment = moment(number as u128);
               let event_id = EventId::new(Uuid::now_v7()).expect("version 7");
               match command {
                   Asked::Mint(who, amount) => {
                       let id = account_of(who);
                       let command = mint_of(who.map(|who| holder(&id_of(who))), amount);
                       if let Ok(minting) = mint(books.position(&id), None, command, &moment) {
                           let aggregate = minting.event.aggregate_id();
prop_assert_eq!(aggregate.as_str(), id.as_str());
                           books.minted += minting.event.amount.decimal();
                           books.put(&id, minting.account, minting.movement(event_id));
                       }
                   }
                   Asked::Transfer(from, to, amount) => {
                       let (from, to) = (id_of(from), id_of(to));
                       let Ok(command) = transfer_of(&from, &to, amount) else {
                           prop_assert_eq!(from, to);
                           continue;
                       };
                       let (giver, receiver) = (books.position(&from), books.position(&to));
                       if let Ok(moved) = transfer(giver, receiver, command, &moment) {
                           let (given, got) = moved.movements(event_id);
                           prop_assert_eq!(given.transaction_id, got.transaction_id);
                           books.put(&from, moved.from, given);
                           books.put(&to, moved.to, got);
                       }
                   }
                   Asked::Burn(who, amount) => {
                       let id = account_of(who);
                       let command = burn_of(who.map(|who| holder(&id_of(who))), amount);
                       if let Ok(burning) = burn(books.position(&id), command, &moment) {
                           books.burned += burning.event.amount.decimal();
                           books.put(&id, burning.account, burning.movement(event_id));
                       }
                   }
               }
               let total: Decimal = books.accounts.values().map(|(balance, _)| balance.decimal()).sum();
               prop_assert_eq!(total, books.minted - books.burned);
           }
           for (id, lines) in &books.lines {
               let mut balance = Decimal::ZERO;
               for line in lines {
                   let change = line.amount.decimal();
                   balance += if line.kind.raises() { change } else { -change };
                   prop_assert!(balance >= Decimal::ZERO, "{} fell below zero", id);
                   prop_assert_eq!(line.balance_after.decimal(), balance);
               }
               prop_assert_eq!(books.accounts[id].0.decimal(), balance);
           }
       }
   }
