//! What people are told, and how it reaches them: the words of notes and mails, the mail port and SES behind it.
//!
//! Both functions that tell people use it: `notifications`, which tells single members and admins while it handles an event,
//! and `notifications-sender`, which tells all members of a rate card one by one. Whom an event
//! tells what stands in [`recipients`].

mod announcement;
mod port;
pub mod recipients;
mod ses;
pub mod texts;

pub use announcement::Announcement;
pub use port::{KEY_HEADER, Mail, MailKey, Mailer, MemoryMailer, identity};
pub use ses::SesMailer;
