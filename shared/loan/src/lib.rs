//! Loans: agreed, funded, drawn on, and paid back by a schedule.
//!
//! Decisions are pure. A decision takes state, a command, ids and a time, and returns either the new state with its
//! events, or a [`Refusal`]. The fields of a state are private and change in one place, which also creates the event.
//!
//! * [`machine`]: the allowed transitions, as a table.
//! * [`interest`]: the interest of a month, the level instalment, and the annual percentage rate of charge.
//! * [`loan`]: the loan and its balances.
//! * [`schedule`]: the plan by which a loan is paid back.
//! * [`books`]: the rows beside a loan's state, derived from its events.
//! * [`operations`]: load, decide, save. The API, the servicing, Flow and every other caller run these.
//!
//! # How a loan is calculated
//!
//! All months are equal (30/360). Each month costs a twelfth of the yearly rate on the principal that is open when the
//! month begins, rounded half to even to the cent. The due days are the funding's day of each later month, or the
//! month's last day if it is shorter. The n-th month runs from the day after the (n-1)-th due day to the n-th due day.
//! A payment pays all interest charged so far, then principal. The payoff amount is the open principal and the unpaid
//! interest of the months that have begun; on the day of funding none has begun. A change of the rate takes effect with
//! the next month, and so does the interest on a draw.
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

/// The domain's aggregates, one per line.
pub const DOMAIN: domain::Domain = domain::Domain {
    name: "loan",
    table_setting: "LOAN_TABLE",
    aggregates: &[&domain::Of::<loan::LoanWithDraws>::NEW],
};
