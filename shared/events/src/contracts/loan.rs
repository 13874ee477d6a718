//! Loans: funding, draws and repayment.
//!
//! The balance in an event ([`LoanBalance`]) is the loan's balance after that event.

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

/// The status of a loan.
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
    /// The borrower has paid everything back.
    PaidOff,
    /// It was cancelled before any money was lent.
    Cancelled,
}

impl LoanStatus {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Created, Self::Active, Self::PaidOff, Self::Cancelled];

    /// The name on the wire.
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

/// What a borrower owes on a funded loan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct LoanBalance {
    /// Principal that is not yet paid back.
    pub open_principal: Money,
    /// Unpaid interest of the months begun so far.
    pub interest_due: Money,
    /// Months begun since the loan was funded, for each of which interest was charged.
    pub months_begun: u32,
}

/// A loan was agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The loan.
    pub loan_id: LoanId,
    /// The borrower.
    pub borrower_id: MemberId,
    /// The maximum amount that can be lent.
    pub amount: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// Interest, at most 100 % a year.
    pub interest_rate: InterestRate,
    /// The number of months over which it is paid back, 1 to 480.
    pub term_months: u32,
    /// The loan's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// The money was lent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Funded {
    /// The loan.
    pub loan_id: LoanId,
    /// The borrower.
    pub borrower_id: MemberId,
    /// The amount that was lent, at most the agreed amount. The borrower can draw the rest.
    pub funded_amount: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The time of the funding. Months are counted from its day, in UTC.
    pub funded_at: Timestamp,
    /// The loan's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// The terms were changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Modified {
    /// The loan.
    pub loan_id: LoanId,
    /// The borrower.
    pub borrower_id: MemberId,
    /// The interest rate from the next month on.
    pub interest_rate: InterestRate,
    /// The number of months over which it is paid back, counted from the funding.
    pub term_months: u32,
    /// What the borrower owes; absent before the loan is funded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<LoanBalance>,
    /// The loan's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A new payment schedule replaced the previous one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentScheduleGenerated {
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// The loan.
    pub loan_id: LoanId,
    /// The borrower.
    pub borrower_id: MemberId,
    /// The number of this schedule of the loan: 1, 2, 3… without gaps.
    pub revision: Sequence,
    /// The number of instalments, including those already paid.
    pub total_payments: u32,
    /// The number of open instalments.
    pub open_payments: u32,
    /// The amount of each open instalment. The last one, and the first after a late payment, can differ.
    pub instalment: Money,
    /// The due date of the first open instalment.
    pub first_due_on: Day,
    /// The due date of the last instalment.
    pub last_due_on: Day,
    /// Principal of the open instalments.
    pub open_principal: Money,
    /// Interest of the open instalments.
    pub open_interest: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The loan's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A payment from the borrower was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentReceived {
    /// The payment.
    pub payment_id: PaymentId,
    /// The loan.
    pub loan_id: LoanId,
    /// The borrower.
    pub borrower_id: MemberId,
    /// The amount, at most what was needed to pay the loan off.
    pub amount: Money,
    /// How it was paid: `ach`, `wire`.
    pub payment_method: Text<50>,
    /// The part that paid interest. Interest is paid before principal.
    pub interest_paid: Money,
    /// The part that paid principal.
    pub principal_paid: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// What the borrower owes after this event.
    pub balance: LoanBalance,
    /// The loan's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A draw was requested: more of the agreed amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrawRequested {
    /// The draw.
    pub draw_id: DrawId,
    /// The loan.
    pub loan_id: LoanId,
    /// The amount.
    pub amount: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// Who requested it: the owner of the API key.
    pub requested_by: Text<64>,
    /// The loan's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A draw was approved and paid out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrawApproved {
    /// The draw.
    pub draw_id: DrawId,
    /// The loan.
    pub loan_id: LoanId,
    /// The borrower.
    pub borrower_id: MemberId,
    /// The amount.
    pub amount: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// Who approved it: the owner of an API key, other than the one who requested it.
    pub approved_by: Text<64>,
    /// What the borrower owes after this event.
    pub balance: LoanBalance,
    /// The loan's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A draw was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrawRejected {
    /// The draw.
    pub draw_id: DrawId,
    /// The loan.
    pub loan_id: LoanId,
    /// The amount that was requested.
    pub amount: Money,
    /// Who rejected it: the owner of an API key.
    pub rejected_by: Text<64>,
    /// The reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// The loan's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// The loan was paid back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaidOff {
    /// The loan.
    pub loan_id: LoanId,
    /// The borrower.
    pub borrower_id: MemberId,
    /// The payment that paid it off.
    pub payment_id: PaymentId,
    /// All principal that was paid back: what was funded and drawn.
    pub principal_paid: Money,
    /// All interest that was paid.
    pub interest_paid: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The loan's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// The loan was cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancelled {
    /// The loan.
    pub loan_id: LoanId,
    /// The borrower.
    pub borrower_id: MemberId,
    /// The reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// The loan's version after this event; projections use it as their version guard.
    pub version: Sequence,
}
