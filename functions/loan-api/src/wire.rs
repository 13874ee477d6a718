//! What callers send and get.

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

/// Agree on a loan.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LoanRequest {
    /// To whom: a member.
    pub borrower_id: MemberId,
    /// How much may be lent at most: more than zero, at most 9,999,999,999.99.
    pub amount: PositiveInput<Fiat>,
    /// Of what.
    pub currency: Currency,
    /// Interest in per cent a year, 0 to 100.
    #[schemars(range(max = 100), extend("x-expected" = "a number from 0 to 100 with at most 6 decimals (% a year)"))]
    pub interest_rate: InterestRate,
    /// Over how many months it is paid back, 1 to 480.
    #[schemars(range(min = 1, max = 480))]
    pub term_months: u32,
}

/// Which loan.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LoanPath {
    /// Its id.
    pub loan_id: LoanId,
}

/// Which draw of which loan.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DrawPath {
    /// The loan's id.
    pub loan_id: LoanId,
    /// The draw's.
    pub draw_id: DrawId,
}

/// Which schedule of which loan.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ScheduleQuery {
    /// Which one: 1, 2, 3…; the newest where it is left out.
    #[serde(default)]
    pub revision: Option<Sequence>,
}

/// Whose loans.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LoansQuery {
    /// The borrower.
    pub borrower_id: MemberId,
    /// How many at most.
    #[serde(default)]
    pub limit: PageLimit,
    /// Where the page before ended.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}

/// Lend the money.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct FundRequest {
    /// How much, at most what was agreed on; all of it where it is left out.
    #[serde(default)]
    pub funded_amount: Option<PositiveInput<Fiat>>,
}

/// Change the terms; what is left out stays.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ModifyRequest {
    /// Interest in per cent a year, 0 to 100, from the next month on.
    #[serde(default)]
    #[schemars(range(max = 100), extend("x-expected" = "a number from 0 to 100 with at most 6 decimals (% a year)"))]
    pub interest_rate: Option<InterestRate>,
    /// Over how many months it is paid back, 1 to 480, counted from the funding.
    #[serde(default)]
    #[schemars(range(min = 1, max = 480))]
    pub term_months: Option<u32>,
}

/// Call a loan off, or reject a draw.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ReasonRequest {
    /// Why.
    #[serde(default)]
    pub reason: Option<Text<500>>,
}

/// A step that needs nothing but its path.
// Said here, because a schema without properties is not closed by itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {}

/// Ask for more of what was agreed on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DrawRequest {
    /// How much, more than zero.
    pub amount: PositiveInput<Fiat>,
}

/// Take a payment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LoanPaymentRequest {
    /// How much, more than zero.
    pub amount: PositiveInput<Fiat>,
    /// How it came: `ach`, `wire`.
    pub payment_method: Text<50>,
}

/// A loan after a step.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LoanAnswer {
    /// Which.
    pub loan_id: LoanId,
    /// How far it is.
    pub status: LoanStatus,
    /// What can be drawn.
    pub available: Money,
}

/// A draw after a step.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DrawAnswer {
    /// Which.
    pub draw_id: DrawId,
    /// On which loan.
    pub loan_id: LoanId,
    /// How far it is.
    pub status: DrawStatus,
    /// What can be drawn of the loan.
    pub available: Money,
}

/// A payment that was taken.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LoanPaymentAnswer {
    /// Which.
    pub payment_id: PaymentId,
    /// On which loan.
    pub loan_id: LoanId,
    /// The part that paid interest.
    pub interest_paid: Money,
    /// The part that paid principal.
    pub principal_paid: Money,
    /// What is owed.
    pub balance: LoanBalance,
    /// How far the loan is.
    pub status: LoanStatus,
}

/// A loan with what is owed on it today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LoanView {
    /// The loan; its `balance` is as of its last change.
    #[serde(flatten)]
    pub loan: Loan,
    /// What is owed today, interest of the month that has begun included.
    pub owed: LoanBalance,
    /// What pays it off today.
    pub payoff_amount: Money,
    /// One more with every change.
    pub version: Sequence,
}
