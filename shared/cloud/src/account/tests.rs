use events::ExternalReference;
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

fn context(number: u128) -> CommandContext {
    CommandContext {
        transaction_id: Uuid::from_u128(number).into(),
        now: Timestamp::EPOCH,
        rate: "10".parse().expect("a rate"),
    }
}

fn holding(balance: &str, next_version: u64) -> Holding {
    Holding {
        account: Account::holding(credits(balance), credits("3")),
        next_version: Sequence::new(next_version).expect("a version"),
    }
}

fn mint_of(holder: Option<Holder>, amount: Credits) -> Mint {
    Mint {
        holder,
        amount,
        payment: StripePayment::default(),
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
    let minting = mint(holding("1", 4), None, command, &context(1)).expect("allowed");
    assert_eq!(minting.account.balance, credits("3.5"));
    assert_eq!(minting.account.staked, credits("3"));
    assert_eq!(minting.event.amount_usd.to_string(), "25.00");
    assert_eq!(minting.event.version.number(), 4);
    assert_eq!(minting.event.aggregate_id().as_str(), "a");
}

#[test]
fn credits_of_nobody_come_to_and_go_from_the_unallocated_account() {
    let minting = mint(
        holding("0", 1),
        None,
        mint_of(None, credits("5")),
        &context(1),
    );
    let minting = minting.expect("allowed");
    assert_eq!(minting.event.aggregate_id().as_str(), "unallocated");
    let burning = burn(holding("5", 2), burn_of(None, credits("5")), &context(2));
    let burning = burning.expect("allowed");
    assert_eq!(burning.event.aggregate_id().as_str(), "unallocated");
    assert_eq!(burning.account.balance, Credits::ZERO);
}

#[test]
fn a_payment_is_minted_once_whoever_asks() {
    for name in [PaymentName::Charge, PaymentName::PaymentIntent] {
        let payment = MintedPayment {
            transaction_id: Uuid::from_u128(7).into(),
            minted_at: Timestamp::EPOCH,
        };
        let first = payment.transaction_id;
        let before = MintedBefore { name, payment };
        let command = mint_of(Some(holder("b")), credits("1"));
        let refusal = mint(holding("0", 1), Some(&before), command, &context(1));
        assert_eq!(refusal, Err(Refusal::PaymentAlreadyMinted { name, first }));
    }
}

#[test]
fn what_is_not_there_can_neither_be_burned_nor_transferred() {
    let short = Refusal::InsufficientBalance {
        available: credits("1"),
        needed: credits("1.000001"),
    };
    let needed = credits("1.000001");
    let burned = burn(
        holding("1", 2),
        burn_of(Some(holder("a")), needed),
        &context(1),
    );
    assert_eq!(burned, Err(short.clone()));
    let command = transfer_of("a", "b", needed).expect("two members");
    let moved = transfer(holding("1", 2), holding("0", 1), command, &context(1));
    assert_eq!(moved, Err(short));
}

#[test]
fn nobody_transfers_to_themselves_and_nothing_is_no_amount() {
    let oneself = transfer_of("a", "a", credits("1"));
    assert_eq!(oneself.err(), Some(Refusal::TransferToOneself));
    let nothing = mint(
        holding("0", 1),
        None,
        mint_of(None, Credits::ZERO),
        &context(1),
    );
    assert_eq!(nothing, Err(Refusal::AmountNotPositive));
    let nothing = burn(holding("1", 2), burn_of(None, Credits::ZERO), &context(1));
    assert_eq!(nothing, Err(Refusal::AmountNotPositive));
    let command = transfer_of("a", "b", Credits::ZERO).expect("two members");
    let nothing = transfer(holding("1", 2), holding("0", 1), command, &context(1));
    assert_eq!(nothing, Err(Refusal::AmountNotPositive));
}

#[test]
fn a_balance_beyond_what_can_be_carried_is_refused() {
    let full = Holding {
        account: Account {
            balance: Credits::new(Credits::max()).expect("the largest"),
            staked: Credits::ZERO,
        },
        next_version: Sequence::new(2).expect("a version"),
    };
    let refused = Err(Refusal::BalanceTooLarge {
        max: Credits::max(),
    });
    let least = credits("0.000001");
    let minted = mint(full, None, mint_of(None, least), &context(1));
    assert_eq!(minted.map(drop), refused);
    let command = transfer_of("a", "b", least).expect("two members");
    let moved = transfer(holding("1", 2), full, command, &context(1));
    assert_eq!(moved.map(drop), refused);
}

#[test]
fn each_name_of_a_payment_is_a_fact_of_its_own() {
    let reference = |text: &str| ExternalReference::new(text).ok();
    let facts = |charge: &str, intent: &str| {
        let payment = StripePayment {
            charge_id: reference(charge),
            payment_intent_id: reference(intent),
        };
        let facts = payment.facts().expect("facts").into_iter();
        facts
            .map(|(name, fact)| (name, fact.to_string()))
            .collect::<Vec<_>>()
    };
    let charge = (PaymentName::Charge, "stripe/ch_1".to_owned());
    let intent = (PaymentName::PaymentIntent, "stripe/pi_1".to_owned());
    assert_eq!(facts("", ""), []);
    assert_eq!(facts("ch_1", ""), std::slice::from_ref(&charge));
    assert_eq!(facts("", "pi_1"), std::slice::from_ref(&intent));
    assert_eq!(facts("ch_1", "pi_1"), [charge.clone(), intent]);
    assert_eq!(facts("ch_1", "ch_1"), [charge]);
    // The longest reference fits an idempotency key.
    let longest = "c".repeat(200);
    assert_eq!(facts(&longest, "").len(), 1);
}

#[test]
fn statement_lines_sort_by_version_as_text() {
    let table = Table::domain("cloud");
    let key = |number| Movement::key(&table, "a", Sequence::new(number).expect("a version"));
    assert!(key(9).sk < key(10).sk);
    assert!(key(Sequence::MAX - 1).sk < key(Sequence::MAX).sk);
}
