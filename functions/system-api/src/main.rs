//! system-api
fn main() {}
