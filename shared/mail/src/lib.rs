//! Notices to people: the texts of in-app notices and e-mails, the mail port, and its adapter for SES.
//!
//! Two functions use it. `notifications` sends notices to single members, to customers and to admins while it handles an event.
//! `notifications-sender` sends the notices about a rate card to all members, one by one. [`recipients`] decides who
//! receives which notice about an event.

mod announcement;
mod port;
pub mod recipients;
mod ses;
pub mod texts;

pub use announcement::Announcement;
pub use port::{KEY_HEADER, Mail, MailKey, Mailer, MemoryMailer, identity};
pub use ses::SesMailer;
