//! The audit itself: what it knows of a stack ([`audit::Audit`]), the walk over the event log, the consumers' evidence,
//! letters, and what each domain adds ([`domains`]).

mod advice;
mod audit;
mod domains;
mod evidence;
mod handling;
mod history;
mod log;
mod reading;
mod rebuilt;
mod run;
mod sequences;
mod states;

pub(super) use run::run;
