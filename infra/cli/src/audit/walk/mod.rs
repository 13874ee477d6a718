//! The audit itself: its state ([`audit::Audit`]), the walk over the event log, the consumers' evidence, the dead
//! letters, and the checks that each domain adds ([`domains`]).

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
