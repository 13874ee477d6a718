//! Request and response bodies.

use api::{CursorToken, PageLimit, PositiveInput};
use events::{
    DrawId, Fiat, InterestRate, LoanId, MemberId, Money, PaymentId, Sequence, Text,
    contracts::{
        loan::{LoanBalance, LoanStatus},
        payment::Currency,
    },
};
use loan::{Loan, draw::DrawStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Create a loan.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LoanRequest {
    /// The borrower, who must be a member.
    pub borrower_id: MemberId,
    /// The maximum amount that can be lent: more than zero, at most 9,999,999,999.99.
    pub amount: PositiveInput<Fiat>,
    /// The currency.
    pub currency: Currency,
    /// The interest rate in per cent a year, 0 to 100.
    #[schemars(range(max = 100), extend("x-expected" = "a number from 0 to 100 with at most 6 decimals (% a year)"))]
    pub interest_rate: InterestRate,
    /// The term in months, 1 to 480.
    #[schemars(range(min = 1, max = 480))]
    pub term_months: u32,
}

/// The path parameter of a loan.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LoanPath {
    /// The loan's id.
    pub loan_id: LoanId,
}

/// The path parameters of a draw.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DrawPath {
    /// The loan's id.
    pub loan_id: LoanId,
    /// The draw's id.
    pub draw_id: DrawId,
}

/// The query of a schedule.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ScheduleQuery {
    /// The revision: 1, 2, 3… If absent, the newest.
    #[serde(default)]
    pub revision: Option<Sequence>,
}

/// The query of a list of loans.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LoansQuery {
    /// The borrower.
    pub borrower_id: MemberId,
    /// The maximum number of items.
    #[serde(default)]
    pub limit: PageLimit,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}

/// Fund a loan.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct FundRequest {
    /// The funded amount, at most the agreed amount. If absent, all of it.
    #[serde(default)]
    pub funded_amount: Option<PositiveInput<Fiat>>,
}

/// Change the terms. Absent fields stay unchanged.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ModifyRequest {
    /// The interest rate in per cent a year, 0 to 100, from the next month on.
    #[serde(default)]
    #[schemars(range(max = 100), extend("x-expected" = "a number from 0 to 100 with at most 6 decimals (% a year)"))]
    pub interest_rate: Option<InterestRate>,
    /// The term in months, 1 to 480, counted from the funding.
    #[serde(default)]
    #[schemars(range(min = 1, max = 480))]
    pub term_months: Option<u32>,
}

/// Cancel a loan, or reject a draw.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ReasonRequest {
    /// The reason.
    #[serde(default)]
    pub reason: Option<Text<500>>,
}

/// A step without parameters.
// Stated explicitly, because a schema without properties is not closed by default.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {}

/// Request a draw of the agreed amount.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DrawRequest {
    /// The amount, more than zero.
    pub amount: PositiveInput<Fiat>,
}

/// Record a payment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LoanPaymentRequest {
    /// The amount, more than zero.
    pub amount: PositiveInput<Fiat>,
    /// The payment method, for example `ach` or `wire`.
    pub payment_method: Text<50>,
}

/// The result of a step of a loan.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LoanAnswer {
    /// Which.
    pub loan_id: LoanId,
    /// How far it is.
    pub status: LoanStatus,
    /// The amount that can still be drawn.
    pub available: Money,
}

/// The result of a step of a draw.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DrawAnswer {
    /// Which.
    pub draw_id: DrawId,
    /// The loan's id.
    pub loan_id: LoanId,
    /// How far it is.
    pub status: DrawStatus,
    /// The amount of the loan that can still be drawn.
    pub available: Money,
}

/// The result of a payment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LoanPaymentAnswer {
    /// Which.
    pub payment_id: PaymentId,
    /// The loan's id.
    pub loan_id: LoanId,
    /// The part that paid interest.
    pub interest_paid: Money,
    /// The part that paid principal.
    pub principal_paid: Money,
    /// The balance that is owed.
    pub balance: LoanBalance,
    /// The loan's status.
    pub status: LoanStatus,
}

/// A loan with what is owed on it today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LoanView {
    /// The loan; its `balance` is as of its last change.
    #[serde(flatten)]
    pub loan: Loan,
    /// The balance that is owed today, including the interest of the month that has begun.
    pub owed: LoanBalance,
    /// The amount that pays the loan off today.
    pub payoff_amount: Money,
    /// The version: every change increases it by one.
    pub version: Sequence,
}
