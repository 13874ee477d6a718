//! Escrow: a user's points that are held for a request, then settled to the model who fulfilled it, refunded to the
//! user, or divided between both. An escrow ends once.

mod rebuild;

use std::fmt;

use domain::Transitions;
use events::{
    Change, Contract, Draft, DraftError, EscrowId, EventId, IdempotencyKey, MemberId, Points,
    Sequence, Text, Timestamp, TransactionId,
    contracts::wallet::{
        AccountType, EscrowHeld, EscrowPartialSettled, EscrowRefunded, EscrowSettled,
    },
};
use outbox::{BuildError, Entity, State, Table, Transaction};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Account, CommandContext, HoldReason, Holding, Posting, Reason, Refusal,
    account::{less, more, positive},
    ledger::Side,
};

/// The status of an escrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Status {
    /// The points are held.
    Held,
    /// All points became a model's earnings.
    Settled,
    /// All points went back to the user.
    Refunded,
    /// Some points went back to the user, the rest became a model's earnings.
    PartiallySettled,
}

impl Status {
    /// The status as it is written on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Settled => "settled",
            Self::Refunded => "refunded",
            Self::PartiallySettled => "partially_settled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The allowed transitions of an escrow: it ends once.
pub const STATUSES: Transitions<Status> = Transitions::new(&[
    (
        Status::Held,
        &[Status::Settled, Status::Refunded, Status::PartiallySettled],
    ),
    (Status::Settled, &[]),
    (Status::Refunded, &[]),
    (Status::PartiallySettled, &[]),
]);

/// A held amount and its outcome. Only `Held::ended` changes the status, after a check against the transition table. A
/// decision returns the changed escrow together with the event that reports the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Escrow {
    /// The escrow's identity.
    escrow_id: EscrowId,
    /// The user who owns the points.
    user_id: MemberId,
    /// How many points are held.
    amount: Points,
    /// What the points are held for.
    reason: HoldReason,
    /// The place of the requested item in the model's queue.
    queue_item_id: Text<128>,
    /// The feature used for the request.
    feature_type: Text<64>,
    /// The caller's own id of the request.
    request_id: Text<128>,
    /// The escrow's status.
    status: Status,
    /// When the points were held.
    held_at: Timestamp,
    /// The movement that held it.
    held_by: TransactionId,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    /// The movement that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_by: Option<TransactionId>,
    /// The model who earned the settled points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model_id: Option<MemberId>,
    /// How many points went back to the user, once the escrow ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refund_amount: Option<Points>,
    /// How many points the model earned, once the escrow ended. Both parts add up to the held amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settle_amount: Option<Points>,
}

impl State for Escrow {
    const AGGREGATE: &'static str = EscrowHeld::AGGREGATE;
}

impl Escrow {
    /// The escrow's identity.
    #[must_use]
    pub fn escrow_id(&self) -> EscrowId {
        self.escrow_id
    }

    /// The user who owns the points.
    #[must_use]
    pub fn user_id(&self) -> &MemberId {
        &self.user_id
    }

    /// How many points are held.
    #[must_use]
    pub fn amount(&self) -> Points {
        self.amount
    }

    /// What the points are held for.
    #[must_use]
    pub fn reason(&self) -> HoldReason {
        self.reason
    }

    /// What was requested, the feature used for it, and the caller's own id of the request.
    #[must_use]
    pub fn request(&self) -> (&Text<128>, &Text<64>, &Text<128>) {
        (&self.queue_item_id, &self.feature_type, &self.request_id)
    }

    /// The escrow's status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// When the points were held, and by which movement.
    #[must_use]
    pub fn held(&self) -> (Timestamp, TransactionId) {
        (self.held_at, self.held_by)
    }

    /// When it ended, and by which movement.
    #[must_use]
    pub fn ended(&self) -> Option<(Timestamp, TransactionId)> {
        self.ended_at.zip(self.ended_by)
    }

    /// The model who earned the settled points.
    #[must_use]
    pub fn model_id(&self) -> Option<&MemberId> {
        self.model_id.as_ref()
    }

    /// How many points went back to the user, once the escrow ended.
    #[must_use]
    pub fn refund_amount(&self) -> Option<Points> {
        self.refund_amount
    }

    /// How many points the model earned, once the escrow ended.
    #[must_use]
    pub fn settle_amount(&self) -> Option<Points> {
        self.settle_amount
    }
}

/// An escrow that was loaded, as a decision sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held<'e> {
    /// The escrow.
    pub escrow: &'e Escrow,
    /// The escrow's version after the next write.
    pub next_version: Sequence,
}

impl<'e> Held<'e> {
    /// The escrow of an entity; `None` if the entity is empty.
    ///
    /// # Errors
    /// [`events::IdError`] when versions run out.
    pub fn of(entity: &'e Entity<Escrow>) -> Result<Option<Self>, events::IdError> {
        let Some(escrow) = entity.state() else {
            return Ok(None);
        };
        Ok(Some(Self {
            escrow,
            next_version: entity.next_version()?,
        }))
    }

    /// Refuses an account other than the escrow's user, and an escrow that has ended.
    fn still_held_of(&self, user: &Holding) -> Result<(), Refusal> {
        let escrow = self.escrow;
        if user.account_type != AccountType::User || user.account_id != escrow.user_id {
            return Err(Refusal::OtherUser);
        }
        let status = escrow.status;
        if STATUSES.is_final(status) {
            return Err(Refusal::EscrowNotHeld { status });
        }
        Ok(())
    }

    /// The only place where the status changes. It checks the transition table; its caller creates the event.
    fn ended(
        &self,
        status: Status,
        model_id: Option<&MemberId>,
        refund: Points,
        settle: Points,
        context: &CommandContext,
    ) -> Result<Escrow, Refusal> {
        let before = self.escrow.status;
        let illegal = |_| Refusal::EscrowNotHeld { status: before };
        STATUSES.check(before, status).map_err(illegal)?;
        Ok(Escrow {
            status,
            model_id: model_id.cloned(),
            refund_amount: Some(refund),
            settle_amount: Some(settle),
            ended_at: Some(context.now),
            ended_by: Some(context.transaction_id),
            ..self.escrow.clone()
        })
    }
}

/// The command to hold points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The new escrow's identity.
    pub escrow_id: EscrowId,
    /// How many points.
    pub amount: Points,
    /// The reason for the hold.
    pub reason: HoldReason,
    /// The place of the requested item in the model's queue.
    pub queue_item_id: Text<128>,
    /// The feature used for the request.
    pub feature_type: Text<64>,
    /// The caller's own id of the request.
    pub request_id: Text<128>,
}

/// A decided movement into or out of an escrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving<E> {
    /// The escrow after the movement.
    pub escrow: Escrow,
    /// The effect on the user's account.
    pub user: Posting,
    /// The effect on the model's account, if a model earns.
    pub model: Option<Posting>,
    /// The event of the movement.
    pub event: E,
    /// The last part of the idempotency key.
    fact: &'static str,
}

/// Decides to hold points. The escrow's id is new, so its version will be 1.
///
/// # Errors
/// [`Refusal::OtherAccountType`], [`Refusal::AmountNotPositive`], [`Refusal::InsufficientFunds`],
/// [`Refusal::BalanceTooLarge`].
pub fn hold(
    user: &Holding,
    command: Hold,
    version: Sequence,
    context: &CommandContext,
) -> Result<Moving<EscrowHeld>, Refusal> {
    user.must_be(AccountType::User)?;
    let amount = positive(command.amount)?;
    let moves = [
        (Side::Available, less(amount)),
        (Side::Escrow, more(amount)),
    ];
    let reason = Reason::Held(command.reason);
    let posting = user.post(&moves, reason, Some(command.escrow_id), context)?;
    Ok(Moving {
        event: EscrowHeld {
            user_id: user.account_id.clone(),
            escrow_id: command.escrow_id,
            amount,
            reason: reason.wire(),
            transaction_id: context.transaction_id,
            user_available_balance: posting.account.available(),
            user_escrow_balance: posting.account.escrow(),
            queue_item_id: command.queue_item_id.clone(),
            feature_type: command.feature_type.clone(),
            request_id: command.request_id.clone(),
            user_version: posting.version,
            version,
        },
        escrow: Escrow {
            escrow_id: command.escrow_id,
            user_id: user.account_id.clone(),
            amount,
            reason: command.reason,
            queue_item_id: command.queue_item_id,
            feature_type: command.feature_type,
            request_id: command.request_id,
            status: Status::Held,
            held_at: context.now,
            held_by: context.transaction_id,
            ended_at: None,
            ended_by: None,
            model_id: None,
            refund_amount: None,
            settle_amount: None,
        },
        user: posting,
        model: None,
        fact: "hold",
    })
}

/// Decides to settle an escrow: all held points become the model's earnings.
///
/// # Errors
/// [`Refusal::OtherUser`], [`Refusal::EscrowNotHeld`], [`Refusal::OtherAccountType`], [`Refusal::BalanceTooLarge`].
pub fn settle(
    held: &Held<'_>,
    user: &Holding,
    model: &Holding,
    context: &CommandContext,
) -> Result<Moving<EscrowSettled>, Refusal> {
    held.still_held_of(user)?;
    model.must_be(AccountType::Model)?;
    let Escrow {
        escrow_id, amount, ..
    } = *held.escrow;
    let (reason, of) = (Reason::EscrowSettled, Some(escrow_id));
    let user = user.post(&[(Side::Escrow, less(amount))], reason, of, context)?;
    let model = model.post(&[(Side::Earned, more(amount))], reason, of, context)?;
    Ok(Moving {
        event: EscrowSettled {
            user_id: user.account_id.clone(),
            model_id: model.account_id.clone(),
            escrow_id,
            amount,
            transaction_id: context.transaction_id,
            model_earned_balance: model.account.earned(),
            model_version: model.version,
            user_version: user.version,
            version: held.next_version,
        },
        escrow: held.ended(
            Status::Settled,
            Some(&model.account_id),
            Points::ZERO,
            amount,
            context,
        )?,
        user,
        model: Some(model),
        fact: "settle",
    })
}

/// Decides to refund an escrow: all held points go back to the user.
///
/// # Errors
/// [`Refusal::OtherUser`], [`Refusal::EscrowNotHeld`], [`Refusal::BalanceTooLarge`].
pub fn refund(
    held: &Held<'_>,
    user: &Holding,
    context: &CommandContext,
) -> Result<Moving<EscrowRefunded>, Refusal> {
    held.still_held_of(user)?;
    let Escrow {
        escrow_id, amount, ..
    } = *held.escrow;
    let moves = [
        (Side::Escrow, less(amount)),
        (Side::Available, more(amount)),
    ];
    let user = user.post(&moves, Reason::EscrowRefunded, Some(escrow_id), context)?;
    Ok(Moving {
        event: EscrowRefunded {
            user_id: user.account_id.clone(),
            escrow_id,
            amount,
            transaction_id: context.transaction_id,
            user_available_balance: user.account.available(),
            user_escrow_balance: user.account.escrow(),
            user_version: user.version,
            version: held.next_version,
        },
        escrow: held.ended(Status::Refunded, None, amount, Points::ZERO, context)?,
        user,
        model: None,
        fact: "refund",
    })
}

/// How the held points are divided. Both parts must be more than zero and add up to the held amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// How many points go back to the user.
    pub refund: Points,
    /// How many points the model earns.
    pub settle: Points,
}

/// Decides to divide the held points between the user and a model.
///
/// # Errors
/// [`Refusal::OtherUser`], [`Refusal::EscrowNotHeld`], [`Refusal::OtherAccountType`], [`Refusal::AmountNotPositive`],
/// [`Refusal::PartsDiffer`], [`Refusal::BalanceTooLarge`].
pub fn partial_settle(
    held: &Held<'_>,
    user: &Holding,
    model: &Holding,
    parts: Parts,
    context: &CommandContext,
) -> Result<Moving<EscrowPartialSettled>, Refusal> {
    held.still_held_of(user)?;
    model.must_be(AccountType::Model)?;
    let Escrow {
        escrow_id, amount, ..
    } = *held.escrow;
    let (refund, settle) = (positive(parts.refund)?, positive(parts.settle)?);
    let difference = refund.decimal() + settle.decimal() - amount.decimal();
    if !difference.is_zero() {
        return Err(Refusal::PartsDiffer {
            held: amount,
            refund,
            settle,
            difference: stated(difference),
        });
    }
    let (reason, of) = (Reason::EscrowPartiallySettled, Some(escrow_id));
    let moves = [
        (Side::Escrow, less(amount)),
        (Side::Available, more(refund)),
    ];
    let user = user.post(&moves, reason, of, context)?;
    let model = model.post(&[(Side::Earned, more(settle))], reason, of, context)?;
    Ok(Moving {
        event: EscrowPartialSettled {
            user_id: user.account_id.clone(),
            model_id: model.account_id.clone(),
            escrow_id,
            refund_amount: refund,
            settle_amount: settle,
            transaction_id: context.transaction_id,
            user_available_balance: user.account.available(),
            model_earned_balance: model.account.earned(),
            user_version: user.version,
            model_version: model.version,
            version: held.next_version,
        },
        escrow: held.ended(
            Status::PartiallySettled,
            Some(&model.account_id),
            refund,
            settle,
            context,
        )?,
        user,
        model: Some(model),
        fact: "partial_settle",
    })
}

/// Caps a difference at the largest amount that can be stated.
fn stated(difference: Decimal) -> Change<events::Reward> {
    let most = Points::new(Points::max()).unwrap_or_default();
    Change::new(difference).unwrap_or_else(|_| more(most))
}

/// The loaded entities that a decision was based on.
#[derive(Debug, Clone, Copy)]
pub struct Read<'e> {
    /// The escrow.
    pub escrow: &'e Entity<Escrow>,
    /// The user's account.
    pub user: &'e Entity<Account>,
    /// The model's account, if a model earns.
    pub model: Option<&'e Entity<Account>>,
}

impl<E: Contract> Moving<E> {
    /// Adds the escrow, accounts, events and entries to a transaction; returns the id of the event about the whole
    /// movement.
    ///
    /// # Errors
    /// [`BuildError`] when an entity is another account's or escrow's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        read: Read<'_>,
    ) -> Result<EventId, BuildError> {
        let fact = format!("escrow/{}/{}", self.escrow.escrow_id, self.fact);
        let fact = IdempotencyKey::new(fact).map_err(DraftError::from)?;
        let draft = Draft::of(&self.event)?.with_idempotency_key(fact);
        let event_id = transaction.tell(read.escrow, &self.escrow, draft, Vec::new())?;
        self.user.save(transaction, table, read.user)?;
        match (&self.model, read.model) {
            (None, _) => {}
            (Some(model), Some(entity)) => {
                model.save(transaction, table, entity)?;
            }
            (Some(model), None) => {
                return Err(BuildError::OtherAggregate {
                    event: AccountType::Model.account(&model.account_id),
                    state: "nothing".to_owned(),
                });
            }
        }
        Ok(event_id)
    }

    /// The effect on each account.
    pub fn postings(&self) -> impl Iterator<Item = &Posting> {
        [Some(&self.user), self.model.as_ref()]
            .into_iter()
            .flatten()
    }
}
