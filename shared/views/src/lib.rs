//! Rows that a cross-domain consumer keeps and others read: items, keys and queries, nothing else.
//!
//! Only the consumer that owns a table writes it; an API function reads it by the queries that stand here.
//!
//! | module | table | written by | read by |
//! |---|---|---|---|
//! | [`activity`] | `activity` | `activity-feed` | `wallet-api` |
//! | [`analytics`] | `analytics` | `analytics` | `system-api` |
//! | [`feed`] | `feed` | `event-feed` | `event-stream` |
//! | [`contacts`] | `notifications` | `notifications` | `notifications`, `notifications-sender` |
//! | [`notes`] | `notifications` | `notifications`, `notifications-sender` | `member-api` |
//! | [`mails`] | `notifications` | `notifications`, `notifications-sender` | the same |
//! | [`fanouts`] | `notifications` | `notifications` opens, `notifications-sender` goes on | `notifications-sender` |
//! | [`units`] | `notifications` | `notifications-sender`; the operator queues again | `notifications-sender` |

pub mod activity;
pub mod analytics;
pub mod contacts;
pub mod fanouts;
pub mod feed;
pub mod mails;
pub mod notes;
pub mod units;
