//! Escrow: points of a user that are held for something asked for, then settled to the model who did it, refunded, or
//! divided. An escrow ends once.

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
    Account, HoldReason, Holding, Moment, Posting, Reason, Refusal,
    account::{less, more, positive},
    ledger::Side,
};

/// What became of an escrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Status {
    /// The points are held.
    Held,
    /// All became a model's earnings.
    Settled,
    /// All went back to their user.
    Refunded,
    /// A part went back, the rest became a model's earnings.
    PartiallySettled,
}

impl Status {
    /// As it stands on the wire.
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

/// What may become of an escrow: it ends once.
pub const STATUSES: Transitions<Status> = Transitions::new(&[
    (
        Status::Held,
        &[Status::Settled, Status::Refunded, Status::PartiallySettled],
    ),
    (Status::Settled, &[]),
    (Status::Refunded, &[]),
    (Status::PartiallySettled, &[]),
]);

/// A held amount and what became of it. Its fields change in [`Held::ended`] alone, which asks the table; a decision keeps the
/// changed escrow together with the event that tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Escrow {
    /// Its identity.
    escrow_id: EscrowId,
    /// Whose points.
    user_id: MemberId,
    /// How many.
    amount: Points,
    /// What for.
    reason: HoldReason,
    /// What was asked for: its place in the queue of the one who fulfils it.
    queue_item_id: Text<128>,
    /// The feature it was asked for by.
    feature_type: Text<64>,
    /// The caller's own id of the request.
    request_id: Text<128>,
    /// What became of it.
    status: Status,
    /// Since when it is held.
    held_at: Timestamp,
    /// The movement that held it.
    held_by: TransactionId,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    /// The movement that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_by: Option<TransactionId>,
    /// Who earned what was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model_id: Option<MemberId>,
    /// How many went back to the user, once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refund_amount: Option<Points>,
    /// How many the model earned, once it ended. Both together are what was held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settle_amount: Option<Points>,
}

impl State for Escrow {
    const AGGREGATE: &'static str = EscrowHeld::AGGREGATE;
}

impl Escrow {
    /// Its identity.
    #[must_use]
    pub fn escrow_id(&self) -> EscrowId {
        self.escrow_id
    }

    /// Whose points.
    #[must_use]
    pub fn user_id(&self) -> &MemberId {
        &self.user_id
    }

    /// How many.
    #[must_use]
    pub fn amount(&self) -> Points {
        self.amount
    }

    /// What for.
    #[must_use]
    pub fn reason(&self) -> HoldReason {
        self.reason
    }

    /// What was asked for, by which feature, and the caller's own id of the request.
    #[must_use]
    pub fn request(&self) -> (&Text<128>, &Text<64>, &Text<128>) {
        (&self.queue_item_id, &self.feature_type, &self.request_id)
    }

    /// What became of it.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Since when it is held, and by which movement.
    #[must_use]
    pub fn held(&self) -> (Timestamp, TransactionId) {
        (self.held_at, self.held_by)
    }

    /// When it ended, and by which movement.
    #[must_use]
    pub fn ended(&self) -> Option<(Timestamp, TransactionId)> {
        self.ended_at.zip(self.ended_by)
    }

    /// Who earned what was settled.
    #[must_use]
    pub fn model_id(&self) -> Option<&MemberId> {
        self.model_id.as_ref()
    }

    /// How many went back to the user, once it ended.
    #[must_use]
    pub fn refund_amount(&self) -> Option<Points> {
        self.refund_amount
    }

    /// How many the model earned, once it ended.
    #[must_use]
    pub fn settle_amount(&self) -> Option<Points> {
        self.settle_amount
    }
}

/// An escrow that was read, as a decision sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held<'e> {
    /// The escrow.
    pub escrow: &'e Escrow,
    /// The version it has after the next write.
    pub next_version: Sequence,
}

impl<'e> Held<'e> {
    /// The escrow of an entity; none where there is none.
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

    /// Refuses another's account, and escrows that ended.
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

    /// The one place where a status changes: the table is asked, and its caller makes the event in the same breath.
    fn ended(
        &self,
        status: Status,
        model_id: Option<&MemberId>,
        refund: Points,
        settle: Points,
        moment: &Moment,
    ) -> Result<Escrow, Refusal> {
        let before = self.escrow.status;
        let illegal = |_| Refusal::EscrowNotHeld { status: before };
        STATUSES.check(before, status).map_err(illegal)?;
        Ok(Escrow {
            status,
            model_id: model_id.cloned(),
            refund_amount: Some(refund),
            settle_amount: Some(settle),
            ended_at: Some(moment.now),
            ended_by: Some(moment.transaction_id),
            ..self.escrow.clone()
        })
    }
}

/// Hold points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The new escrow's identity.
    pub escrow_id: EscrowId,
    /// How many.
    pub amount: Points,
    /// What for.
    pub reason: HoldReason,
    /// What is asked for.
    pub queue_item_id: Text<128>,
    /// The feature it is asked for by.
    pub feature_type: Text<64>,
    /// The caller's own id of the request.
    pub request_id: Text<128>,
}

/// A decided movement into or out of an escrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving<E> {
    /// The escrow after it.
    pub escrow: Escrow,
    /// What it does to the user's account.
    pub user: Posting,
    /// What it does to the model's account, where one earns.
    pub model: Option<Posting>,
    /// What happened.
    pub event: E,
    /// The last part of the fact's name.
    fact: &'static str,
}

/// Decides that points are held; the escrow's id is new, so its version will be 1.
///
/// # Errors
/// [`Refusal::OtherAccountType`], [`Refusal::AmountNotPositive`], [`Refusal::InsufficientFunds`],
/// [`Refusal::BalanceTooLarge`].
pub fn hold(
    user: &Holding,
    command: Hold,
    version: Sequence,
    moment: &Moment,
) -> Result<Moving<EscrowHeld>, Refusal> {
    user.must_be(AccountType::User)?;
    let amount = positive(command.amount)?;
    let moves = [
        (Side::Available, less(amount)),
        (Side::Escrow, more(amount)),
    ];
    let reason = Reason::Held(command.reason);
    let posting = user.post(&moves, reason, Some(command.escrow_id), moment)?;
    Ok(Moving {
        event: EscrowHeld {
            user_id: user.account_id.clone(),
            escrow_id: command.escrow_id,
            amount,
            reason: reason.wire(),
            transaction_id: moment.transaction_id,
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
            held_at: moment.now,
            held_by: moment.transaction_id,
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

/// Decides that all that is held becomes a model's earnings.
///
/// # Errors
/// [`Refusal::OtherUser`], [`Refusal::EscrowNotHeld`], [`Refusal::OtherAccountType`], [`Refusal::BalanceTooLarge`].
pub fn settle(
    held: &Held<'_>,
    user: &Holding,
    model: &Holding,
    moment: &Moment,
) -> Result<Moving<EscrowSettled>, Refusal> {
    held.still_held_of(user)?;
    model.must_be(AccountType::Model)?;
    let Escrow {
        escrow_id, amount, ..
    } = *held.escrow;
    let (reason, of) = (Reason::EscrowSettled, Some(escrow_id));
    let user = user.post(&[(Side::Escrow, less(amount))], reason, of, moment)?;
    let model = model.post(&[(Side::Earned, more(amount))], reason, of, moment)?;
    Ok(Moving {
        event: EscrowSettled {
            user_id: user.account_id.clone(),
            model_id: model.account_id.clone(),
            escrow_id,
            amount,
            transaction_id: moment.transaction_id,
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
            moment,
        )?,
        user,
        model: Some(model),
        fact: "settle",
    })
}

/// Decides that all that is held goes back.
///
/// # Errors
/// [`Refusal::OtherUser`], [`Refusal::EscrowNotHeld`], [`Refusal::BalanceTooLarge`].
pub fn refund(
    held: &Held<'_>,
    user: &Holding,
    moment: &Moment,
) -> Result<Moving<EscrowRefunded>, Refusal> {
    held.still_held_of(user)?;
    let Escrow {
        escrow_id, amount, ..
    } = *held.escrow;
    let moves = [
        (Side::Escrow, less(amount)),
        (Side::Available, more(amount)),
    ];
    let user = user.post(&moves, Reason::EscrowRefunded, Some(escrow_id), moment)?;
    Ok(Moving {
        event: EscrowRefunded {
            user_id: user.account_id.clone(),
            escrow_id,
            amount,
            transaction_id: moment.transaction_id,
            user_available_balance: user.account.available(),
            user_escrow_balance: user.account.escrow(),
            user_version: user.version,
            version: held.next_version,
        },
        escrow: held.ended(Status::Refunded, None, amount, Points::ZERO, moment)?,
        user,
        model: None,
        fact: "refund",
    })
}

/// How what is held is divided: both parts are more than zero and together all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// How many go back.
    pub refund: Points,
    /// How many are earned.
    pub settle: Points,
}

/// Decides that what is held is divided between its user and a model.
///
/// # Errors
/// [`Refusal::OtherUser`], [`Refusal::EscrowNotHeld`], [`Refusal::OtherAccountType`], [`Refusal::AmountNotPositive`],
/// [`Refusal::PartsDiffer`], [`Refusal::BalanceTooLarge`].
pub fn partial_settle(
    held: &Held<'_>,
    user: &Holding,
    model: &Holding,
    parts: Parts,
    moment: &Moment,
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
    let user = user.post(&moves, reason, of, moment)?;
    let model = model.post(&[(Side::Earned, more(settle))], reason, of, moment)?;
    Ok(Moving {
        event: EscrowPartialSettled {
            user_id: user.account_id.clone(),
            model_id: model.account_id.clone(),
            escrow_id,
            refund_amount: refund,
            settle_amount: settle,
            transaction_id: moment.transaction_id,
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
            moment,
        )?,
        user,
        model: Some(model),
        fact: "partial_settle",
    })
}

/// A difference that is beyond what an amount can state is stated as the largest one.
fn stated(difference: Decimal) -> Change<events::Reward> {
    let most = Points::new(Points::max()).unwrap_or_default();
    Change::new(difference).unwrap_or_else(|_| more(most))
}

/// What a decision was made on.
#[derive(Debug, Clone, Copy)]
pub struct Read<'e> {
    /// The escrow.
    pub escrow: &'e Entity<Escrow>,
    /// The user's account.
    pub user: &'e Entity<Account>,
    /// The model's account, where one earns.
    pub model: Option<&'e Entity<Account>>,
}

impl<E: Contract> Moving<E> {
    /// Puts escrow, accounts, events and entries into a transaction; returns the id of the event that tells of the whole.
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

    /// What it does to each account.
    pub fn postings(&self) -> impl Iterator<Item = &Posting> {
        [Some(&self.user), self.model.as_ref()]
            .into_iter()
            .flatten()
    }
}
