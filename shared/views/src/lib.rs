//! Read models that one consumer maintains and other functions read: their items, keys and queries.
//!
//! A table is written only by the functions in the third column. Others read it with the queries of its module.
//!
//! | module | table | written by | read by |
//! |---|---|---|---|
//! | [`activity`] | `activity` | `activity-feed` | `wallet-api` |
//! | [`analytics`] | `analytics` | `analytics` | `system-api` |
//! | [`feed`] | `feed` | `event-feed` | `event-stream`, `system-api` |
//! | [`contacts`] | `notifications` | `notifications` | `notifications`, `notifications-sender`, `webhook-sender` |
//! | [`notes`] | `notifications` | `notifications`, `notifications-sender` | `member-api` |
//! | [`mails`] | `notifications` | `notifications`, `notifications-sender` | `notifications`, `notifications-sender` |
//! | [`fanouts`] | `notifications` | `notifications` opens, `notifications-sender` continues | `notifications-sender` |
//! | [`units`] | `notifications` | `notifications-sender`; `millrace` when an operator queues again | `notifications-sender` |

pub mod activity;
pub mod analytics;
pub mod contacts;
pub mod fanouts;
pub mod feed;
pub mod mails;
pub mod notes;
pub mod units;
