//! What clients were told is what the log says, of movements, cards and names.

use std::collections::{BTreeMap, BTreeSet};

use cloud::books::entries_of;
use rust_decimal::Decimal;
use serde_json::Value;

use super::super::{
    Field,
    clients::{Told, Wish, cost},
};
use crate::e2e::{APPROVER, Result, credits};

use super::*;

/// The log holds exactly the events that clients were told of, and each says what its client wanted.
pub(super) fn answers(field: &Field, told: &[Told], log: &[Logged], found: &mut Vec<Finding>) {
    let by_id: BTreeMap<&str, &Logged> = log
        .iter()
        .map(|one| (one.row.event_id.as_str(), one))
        .collect();
    let mut known = BTreeSet::new();
    for one in told {
        let Some(answer) = &one.answer else { continue };
        // These answers name no event: members' states, and each step of a settlement, are compared below.
        if matches!(
            one.order.wish,
            Wish::Rename { .. } | Wish::Settlement(_) | Wish::Loan(_)
        ) {
            continue;
        }
        let id = answer["event_id"].as_str().unwrap_or_default();
        if !known.insert(id) {
            found.push(Finding(format!(
                "{id} is the answer to two orders, the second: {:?}",
                one.order
            )));
        }
        let Some(logged) = by_id.get(id) else {
            found.push(Finding(format!(
                "{:?} was answered with {answer}, but the log has no such event: lost",
                one.order
            )));
            continue;
        };
        if !says(&field.members, &logged.payload, &one.order.wish)
            || logged.payload["transaction_id"] != answer["transaction_id"]
        {
            found.push(Finding(format!(
                "{:?} became {}",
                one.order, logged.payload
            )));
        }
    }
    for one in log {
        let is_movement = entries_of(&one.envelope).is_ok_and(|entries| !entries.is_empty());
        if is_movement && !known.contains(one.row.event_id.as_str()) {
            found.push(Finding(format!(
                "{} {} was done and nobody was told: {}",
                one.row.aggregate, one.row.sequence, one.payload
            )));
        }
    }
}

pub(super) fn says(members: &[String], payload: &Value, wish: &Wish) -> bool {
    let amount_is = |wanted: &Decimal| {
        credits(&payload["amount"]).is_ok_and(|amount| amount.decimal() == *wanted)
    };
    match wish {
        Wish::Mint {
            member,
            amount,
            charge,
        } => {
            payload["member_id"] == *members[*member]
                && amount_is(amount)
                && payload["stripe_charge_id"].as_str() == charge.as_deref()
        }
        Wish::Transfer { from, to, amount } => {
            payload["from_member_id"] == *members[*from]
                && payload["to_member_id"] == *members[*to]
                && amount_is(amount)
        }
        Wish::Burn { member, amount } => {
            payload["member_id"] == *members[*member] && amount_is(amount)
        }
        Wish::Redeem {
            member,
            primitive,
            quantity,
        } => {
            payload["member_id"] == *members[*member]
                && payload["primitive"] == primitive.as_str()
                && amount_is(&cost(*primitive, *quantity))
        }
        Wish::Stake { member, amount } => {
            payload["member_id"] == *members[*member] && amount_is(amount)
        }
        Wish::Unstake { stake } => {
            payload["position_id"] == stake.position.as_str()
                && payload["member_id"] == *members[stake.member]
                && amount_is(&stake.amount)
        }
        Wish::Approve { card, by, .. } => {
            payload["version"] == *card && payload["approved_by"] == *members[*by]
        }
        Wish::Propose { by } => payload["proposed_by"] == *members[*by],
        Wish::Wallet(wish) => wish.is_said_by(members, payload),
        Wish::Rename { .. } | Wish::Settlement(_) | Wish::Loan(_) => false,
    }
}

/// Every card is there once: proposed by whom was told its number, approved by whom was told so, and no other; proposed with one
/// owner's key, and approved with the other's.
pub(super) fn cards(
    field: &Field,
    told: &[Told],
    log: &[Logged],
    found: &mut Vec<Finding>,
) -> Result {
    const CREATED: &str = "cloud.rate_card_created";
    const APPROVED: &str = "cloud.rate_card_approved";
    let by = |number: usize| field.members[number].as_str();
    let mut due: BTreeMap<u64, Vec<(&str, &str)>> = BTreeMap::new();
    // The one from before the storm.
    due.insert(
        field.rate_card()?,
        vec![(CREATED, by(0)), (APPROVED, by(1))],
    );
    for one in told {
        let Some(answer) = &one.answer else { continue };
        match one.order.wish {
            Wish::Propose { by: number } => {
                let card = answer["version"]
                    .as_u64()
                    .ok_or("a card without a number")?;
                due.entry(card)
                    .or_default()
                    .insert(0, (CREATED, by(number)));
            }
            Wish::Approve {
                card, by: number, ..
            } => {
                due.entry(card).or_default().push((APPROVED, by(number)));
            }
            _ => {}
        }
    }
    let mut logged: BTreeMap<u64, Vec<(&str, &str)>> = BTreeMap::new();
    for one in log {
        let Some(card) = one.row.aggregate.strip_prefix("rate_card#") else {
            continue;
        };
        let event_type = one.row.event_type.as_str();
        let (who, key_owner) = match event_type {
            CREATED => ("proposed_by", "proposed_by_key_owner"),
            _ => ("approved_by", "approved_by_key_owner"),
        };
        let (who, key_owner) = (&one.payload[who], &one.payload[key_owner]);
        if key_owner.is_null() || (key_owner == APPROVER) != (event_type == APPROVED) {
            found.push(Finding(format!(
                "rate card {card}: {event_type} was done with a key of {key_owner}"
            )));
        }
        let line = (event_type, who.as_str().unwrap_or_default());
        logged.entry(card.parse()?).or_default().push(line);
    }
    if due != logged {
        found.push(Finding(format!(
            "rate cards: clients were told {due:?}, the log says {logged:?}"
        )));
    }
    Ok(())
}
/// Members' versions count every change that was logged, and no change is logged that nobody asked for.
pub(super) fn renames(
    field: &Field,
    told: &[Told],
    member: &str,
    log: &[Logged],
    version: u64,
    found: &mut Vec<Finding>,
) {
    let aggregate = format!("member#{member}");
    let of_member: Vec<&Logged> = log
        .iter()
        .filter(|one| one.row.aggregate == aggregate)
        .collect();
    if u64::try_from(of_member.len()).ok() != Some(version) {
        found.push(Finding(format!(
            "{member} has version {version} and {} events",
            of_member.len()
        )));
    }
    let asked: BTreeSet<&str> = told
        .iter()
        .filter(|one| one.answer.is_some())
        .filter_map(|one| match &one.order.wish {
            Wish::Rename {
                member: number,
                name,
            } if field.members[*number] == member => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let logged: BTreeSet<&str> = of_member
        .iter()
        .skip(1)
        .filter_map(|one| one.payload["name"].as_str())
        .collect();
    if asked != logged {
        found.push(Finding(format!(
            "{member} was renamed to {logged:?}, asked for were {asked:?}"
        )));
    }
}
