//! `letters-api`.

fn main() {}
