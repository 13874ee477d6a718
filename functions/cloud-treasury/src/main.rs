//! cloud-treasury
fn main() {}
