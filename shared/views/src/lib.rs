//! Rows that a cross-domain consumer keeps and others read: items, keys and queries, nothing else.
//!
//! Only the consumer that owns a table writes it; an API function reads it by the queries that stand here.
//!
//! | module | table | written by | read by |
//! |---|---|---|---|
//! | [`analytics`] | `analytics` | `analytics` | `system-api` |
//! | [`contacts`] | `notifications` | `notifications` | `notifications` |
//! | [`notes`] | `notifications` | `notifications` | `member-api` |
//! | [`mails`] | `notifications` | `notifications` | `notifications` |

pub mod analytics;
pub mod contacts;
pub mod mails;
pub mod notes;
