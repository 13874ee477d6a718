//! What people are told, and how it reaches them: the words of notes and mails, the mail port and SES behind it.
//!
//! Both functions that tell people use it: `notifications`, which tells single members and admins while it handles an event,
//! and `notifications-sender`, which tells all members of a rate card one by one. Nothing here decides whom to tell.

mod announcement;
mod port;
mod ses;
pub mod texts;

pub use announcement::Announcement;
pub use port::{KEY_HEADER, Mail, MailKey, Mailer, MemoryMailer, identity};
pub use ses::SesMailer;
