//! The responses to clients must agree with the event log, for movements, rate cards and names.

use std::collections::{BTreeMap, BTreeSet};

use cloud::books::entries_of;
use rust_decimal::Decimal;
use serde_json::Value;

use super::super::{
    Field,
    clients::{OrderResult, Request, cost},
};
use crate::e2e::{APPROVER, Result, credits};

use super::*;

/// The event log holds exactly the events named in responses, and each event is what its client requested.
pub(super) fn answers(
    field: &Field,
    results: &[OrderResult],
    log: &[Logged],
    found: &mut Vec<Finding>,
) {
    let by_id: BTreeMap<&str, &Logged> = log
        .iter()
        .map(|one| (one.row.event_id.as_str(), one))
        .collect();
    let mut known = BTreeSet::new();
    for one in results {
        let Some(answer) = &one.answer else { continue };
        // These responses name no event. The states of members, each step of a settlement, and the shop's books are compared
        // below.
        if matches!(
            one.order.request,
            Request::Rename { .. } | Request::Settlement(_) | Request::Loan(_) | Request::Shop(_)
        ) {
            continue;
        }
        let id = answer["event_id"].as_str().unwrap_or_default();
        if !known.insert(id) {
            found.push(Finding(format!(
                "{id} is in the responses to two orders, the second: {:?}",
                one.order
            )));
        }
        let Some(logged) = by_id.get(id) else {
            found.push(Finding(format!(
                "{:?} was answered with {answer}, but the event log has no such event: it is lost",
                one.order
            )));
            continue;
        };
        if !says(&field.members, &logged.payload, &one.order.request)
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
                "{} {} was done, but no response names it: {}",
                one.row.aggregate, one.row.sequence, one.payload
            )));
        }
    }
}

pub(super) fn says(members: &[String], payload: &Value, request: &Request) -> bool {
    let amount_is = |wanted: &Decimal| {
        credits(&payload["amount"]).is_ok_and(|amount| amount.decimal() == *wanted)
    };
    match request {
        Request::Mint {
            member,
            amount,
            charge,
        } => {
            payload["member_id"] == *members[*member]
                && amount_is(amount)
                && payload["stripe_charge_id"].as_str() == charge.as_deref()
        }
        Request::Transfer { from, to, amount } => {
            payload["from_member_id"] == *members[*from]
                && payload["to_member_id"] == *members[*to]
                && amount_is(amount)
        }
        Request::Burn { member, amount } => {
            payload["member_id"] == *members[*member] && amount_is(amount)
        }
        Request::Redeem {
            member,
            primitive,
            quantity,
        } => {
            payload["member_id"] == *members[*member]
                && payload["primitive"] == primitive.as_str()
                && amount_is(&cost(*primitive, *quantity))
        }
        Request::Stake { member, amount } => {
            payload["member_id"] == *members[*member] && amount_is(amount)
        }
        Request::Unstake { stake } => {
            payload["position_id"] == stake.position.as_str()
                && payload["member_id"] == *members[stake.member]
                && amount_is(&stake.amount)
        }
        Request::Approve { card, by, .. } => {
            payload["version"] == *card && payload["approved_by"] == *members[*by]
        }
        Request::Propose { by } => payload["proposed_by"] == *members[*by],
        Request::Wallet(request) => request.is_said_by(members, payload),
        Request::Rename { .. } | Request::Settlement(_) | Request::Loan(_) | Request::Shop(_) => {
            false
        }
    }
}

/// Every rate card exists once: its proposer and its approver are the ones whose requests succeeded, and no other. It
/// was proposed with one owner's API key and approved with the other owner's.
pub(super) fn cards(
    field: &Field,
    results: &[OrderResult],
    log: &[Logged],
    found: &mut Vec<Finding>,
) -> Result {
    const CREATED: &str = "cloud.rate_card_created";
    const APPROVED: &str = "cloud.rate_card_approved";
    let by = |number: usize| field.members[number].as_str();
    let mut due: BTreeMap<u64, Vec<(&str, &str)>> = BTreeMap::new();
    // The card from before the storm.
    due.insert(
        field.rate_card()?,
        vec![(CREATED, by(0)), (APPROVED, by(1))],
    );
    for one in results {
        let Some(answer) = &one.answer else { continue };
        match one.order.request {
            Request::Propose { by: number } => {
                let card = answer["version"]
                    .as_u64()
                    .ok_or("a card without a number")?;
                due.entry(card)
                    .or_default()
                    .insert(0, (CREATED, by(number)));
            }
            Request::Approve {
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
            "rate cards: by the responses {due:?}, by the event log {logged:?}"
        )));
    }
    Ok(())
}
/// A member's version counts every logged change, and every logged change was requested.
pub(super) fn renames(
    field: &Field,
    results: &[OrderResult],
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
            "{member} has version {version} but {} events",
            of_member.len()
        )));
    }
    let asked: BTreeSet<&str> = results
        .iter()
        .filter(|one| one.answer.is_some())
        .filter_map(|one| match &one.order.request {
            Request::Rename {
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
            "{member} was renamed to {logged:?}, requested was {asked:?}"
        )));
    }
}
