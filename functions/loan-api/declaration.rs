//! The declaration of `loan-api`.

use crate::{
    Access,
    Action::{Get, Put, Query},
    Api, Function, Kind, Method, Table,
    functions::member_api,
};

/// The domain's table.
pub const TABLE: Table = Table::new(
    "Loan",
    "LOAN_TABLE",
    "Loans, their schedules, payments and draws.",
);

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "loan-api",
    "Loans, under /api/v1/loans.",
    Kind::Api(Api::of(&[
        (Method::Get, "/api/v1/loans"),
        (Method::Post, "/api/v1/loans"),
        (Method::Get, "/api/v1/loans/{proxy+}"),
        (Method::Post, "/api/v1/loans/{proxy+}"),
    ])),
)
.with_domains(&["loan"])
.owning(&[Access::to(&TABLE, &[Get, Query, Put])])
// A borrower is a member.
.reading(&[Access::to(&member_api::TABLE, &[Get])]);
