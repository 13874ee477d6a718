//! `dead-letter-redrive`.

fn main() {}
