//! cloud-api
fn main() {}
