//! member-api
fn main() {}
