//! The declaration of `member-api`.

use crate::{
    Access,
    Action::{Check, Get, Put, Query, Update},
    Api, Function, Kind,
    Method::{Get as Read, Patch, Post},
    Table,
    functions::notifications,
};

/// The domain's table.
pub const TABLE: Table = Table::new("Member", "MEMBER_TABLE", "Members.");

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "member-api",
    "Members and their in-app notes, under /api/v1/members.",
    Kind::Api(Api::of(&[
        (Post, "/api/v1/members"),
        (Read, "/api/v1/members/{proxy+}"),
        (Patch, "/api/v1/members/{proxy+}"),
    ])),
)
.owning(&[Access::to(&TABLE, &[Get, Query, Put, Update, Check])])
.reading(&[Access::to(&notifications::TABLE, &[Query]).if_deployed()]);
