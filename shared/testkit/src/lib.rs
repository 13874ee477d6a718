//! What tests stand on: a clock they hold, the suites every adapter must pass, the pipeline in memory, a deployed stack and
//! what makes calls go wrong. A dev-dependency only.

pub mod bootstraps;
pub mod clock;
pub mod conformance;
pub mod flow;
pub mod proxy;
pub mod signed;
pub mod stack;

pub use clock::TestClock;
