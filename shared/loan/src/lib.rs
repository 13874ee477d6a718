//! Loans: agreed on, funded, drawn on, paid back by a schedule.
//!
//! Decisions are pure: state, command, ids and time come in; the new state with the events that tell of it, or a
//! [`Refusal`], comes out. A state's fields are private and change in one place, which also makes the event.
//!
//! * [`machine`]: which status may follow which, as a table.
//! * [`interest`]: what a month costs, what a level instalment is, what a loan costs in all.
//! * [`loan`]: the loan and its account.
//! * [`schedule`]: the plan by which it is paid back.
//! * [`books`]: the rows beside a loan, as its events come to them.
//! * [`operations`]: load, decide, save; what the API, the servicing and Flow run.
//!
//! # How a loan is counted
//!
//! Months are equal (30/360): each costs a twelfth of the yearly rate on the principal that is open when it begins, half-even to the
//! cent. The n-th month runs from the day behind the (n-1)-th due day to the n-th due day; the due days are the funding's day of
//! each later month, or the month's last day. What comes within a month pays that month: first all interest charged so far, then
//! principal. The payoff amount is the open principal and the interest of the months begun; on the day of funding none has begun.
//! A change of the rate holds from the next month on, and so does the interest on what is drawn.
//!
//! Items, all in the table `loan`:
//!
//! | pk | sk | what | written by |
//! |---|---|---|---|
//! | `loan#{loan id}` | `state` | [`Loan`] | `loan-api`, `loan-servicing` |
//! | `loan#{loan id}` | `draw#{draw id}` | [`draw::Draw`] | `loan-api` |
//! | `loan#{loan id}` | `payment#{number}` | [`payment::Payment`] | `loan-api` |
//! | `loan#{loan id}` | `schedule#{revision}` | [`schedule::Schedule`]; earlier ones stay | `loan-servicing` |
//! | `borrower#{member id}` | `loan#{loan id}` | [`borrower::Lent`] | `loan-api` |

pub mod books;
pub mod borrower;
pub mod draw;
pub mod interest;
pub mod loan;
pub mod machine;
pub mod operations;
pub mod payment;
mod refusal;
pub mod schedule;

pub use loan::Loan;
pub use refusal::Refusal;

/// The domain's aggregates, a line each.
pub const DOMAIN: domain::Domain = domain::Domain {
    name: "loan",
    table_setting: "LOAN_TABLE",
    aggregates: &[&domain::Of::<loan::LoanWithDraws>::NEW],
};
