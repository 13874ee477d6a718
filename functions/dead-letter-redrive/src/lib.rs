//! `dead-letter-redrive`.
