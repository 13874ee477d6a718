//! Loans: funded, drawn on, paid back.
//!
//! What an event says of a loan's account ([`LoanBalance`]) is what it is after it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::payment::Currency;
use crate::{
    Day, DrawId, InterestRate, LoanId, MemberId, Money, PaymentId, Retention, ScheduleId, Sequence,
    Text, Timestamp,
};

contracts! {
    kept Retention::Forever;
    Cancelled: "loan.cancelled", Normal, "loan-api", "loan" [loan_id];
    Created: "loan.created", Normal, "loan-api", "loan" [loan_id];
    DrawApproved: "loan.draw_approved", High, "loan-api", "loan" [loan_id];
    DrawRejected: "loan.draw_rejected", Normal, "loan-api", "loan" [loan_id];
    DrawRequested: "loan.draw_requested", Normal, "loan-api", "loan" [loan_id];
    Funded: "loan.funded", Critical, "loan-api", "loan" [loan_id];
    Modified: "loan.modified", High, "loan-api", "loan" [loan_id];
    PaidOff: "loan.paid_off", Critical, "loan-api", "loan" [loan_id];
    PaymentReceived: "loan.payment_received", Critical, "loan-api", "loan" [loan_id];
    PaymentScheduleGenerated: "loan.payment_schedule_generated", Normal, "loan-servicing", "loan" [loan_id];
}

/// How far a loan is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum LoanStatus {
    /// Agreed on; no money has moved.
    Created,
    /// The money was lent.
    Active,
    /// All of it came back.
    PaidOff,
    /// It was called off before any money was lent.
    Cancelled,
}

impl LoanStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Created, Self::Active, Self::PaidOff, Self::Cancelled];

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Active => "active",
            Self::PaidOff => "paid_off",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for LoanStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is owed on a funded loan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct LoanBalance {
    /// Principal that has not come back.
    pub open_principal: Money,
    /// Interest of the months begun so far that was not paid.
    pub interest_due: Money,
    /// Months begun since the loan was funded, for each of which interest was charged.
    pub months_begun: u32,
}

/// A loan was agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// Which.
    pub loan_id: LoanId,
    /// To whom it is lent.
    pub borrower_id: MemberId,
    /// How much may be lent at most.
    pub amount: Money,
    /// Of what.
    pub currency: Currency,
    /// Interest, at most 100 % a year.
    pub interest_rate: InterestRate,
    /// Over how many months it is paid back, 1 to 480.
    pub term_months: u32,
    /// The loan's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// The money was lent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Funded {
    /// Which.
    pub loan_id: LoanId,
    /// To whom.
    pub borrower_id: MemberId,
    /// How much, at most what was agreed on. What is left can be drawn.
    pub funded_amount: Money,
    /// Of what.
    pub currency: Currency,
    /// When: months are counted from this day on, in UTC.
    pub funded_at: Timestamp,
    /// The loan's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// The terms were changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Modified {
    /// Which.
    pub loan_id: LoanId,
    /// Whose.
    pub borrower_id: MemberId,
    /// Interest from the next month on.
    pub interest_rate: InterestRate,
    /// Over how many months it is paid back, counted from the funding.
    pub term_months: u32,
    /// What is owed; absent before the loan is funded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<LoanBalance>,
    /// The loan's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// A new payment schedule holds from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentScheduleGenerated {
    /// Which schedule.
    pub schedule_id: ScheduleId,
    /// Of which loan.
    pub loan_id: LoanId,
    /// Whose.
    pub borrower_id: MemberId,
    /// Which schedule of this loan: 1, 2, 3… without gaps.
    pub revision: Sequence,
    /// How many instalments it has, those paid already included.
    pub total_payments: u32,
    /// How many of them are open.
    pub open_payments: u32,
    /// What each open instalment comes to; the last one, and the first after a late payment, may differ.
    pub instalment: Money,
    /// When the first open one is due.
    pub first_due_on: Day,
    /// When the last one is due.
    pub last_due_on: Day,
    /// Principal of the open instalments.
    pub open_principal: Money,
    /// Interest of the open instalments.
    pub open_interest: Money,
    /// Of what.
    pub currency: Currency,
    /// The loan's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// Money came from the borrower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentReceived {
    /// Which payment.
    pub payment_id: PaymentId,
    /// On which loan.
    pub loan_id: LoanId,
    /// Whose.
    pub borrower_id: MemberId,
    /// How much, at most what paid the loan off.
    pub amount: Money,
    /// How it came: `ach`, `wire`.
    pub payment_method: Text<50>,
    /// The part that paid interest, which comes first.
    pub interest_paid: Money,
    /// The part that paid principal.
    pub principal_paid: Money,
    /// Of what.
    pub currency: Currency,
    /// What is owed after it.
    pub balance: LoanBalance,
    /// The loan's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// More of what was agreed on is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrawRequested {
    /// Which draw.
    pub draw_id: DrawId,
    /// On which loan.
    pub loan_id: LoanId,
    /// How much.
    pub amount: Money,
    /// Of what.
    pub currency: Currency,
    /// Who asked: the owner of the API key.
    pub requested_by: Text<64>,
    /// The loan's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// A draw was approved and paid out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrawApproved {
    /// Which draw.
    pub draw_id: DrawId,
    /// On which loan.
    pub loan_id: LoanId,
    /// To whom.
    pub borrower_id: MemberId,
    /// How much.
    pub amount: Money,
    /// Of what.
    pub currency: Currency,
    /// Who approved: the owner of an API key, another one than asked.
    pub approved_by: Text<64>,
    /// What is owed after it.
    pub balance: LoanBalance,
    /// The loan's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// A draw was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrawRejected {
    /// Which draw.
    pub draw_id: DrawId,
    /// On which loan.
    pub loan_id: LoanId,
    /// How much was asked for.
    pub amount: Money,
    /// Who rejected it: the owner of an API key.
    pub rejected_by: Text<64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// The loan's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// The loan was paid back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaidOff {
    /// Which.
    pub loan_id: LoanId,
    /// Whose.
    pub borrower_id: MemberId,
    /// The payment that did it.
    pub payment_id: PaymentId,
    /// All principal that came back: what was funded and drawn.
    pub principal_paid: Money,
    /// All interest that was paid.
    pub interest_paid: Money,
    /// Of what.
    pub currency: Currency,
    /// The loan's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// The loan was called off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancelled {
    /// Which.
    pub loan_id: LoanId,
    /// Whose.
    pub borrower_id: MemberId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// The loan's version after it; projections are guarded by it.
    pub version: Sequence,
}
