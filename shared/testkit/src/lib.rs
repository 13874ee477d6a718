//! What tests stand on: a clock they hold and the suites every adapter must pass. A dev-dependency only.

pub mod clock;
pub mod conformance;
pub mod flow;
pub mod signed;
pub mod stack;

pub use clock::TestClock;
