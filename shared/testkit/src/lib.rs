//! The toolkit of tests and benchmarks: a clock under the test's control, conformance suites for adapters, the whole
//! pipeline in memory, a client of a deployed stack, fault injection, and a Lambda Runtime API and a DynamoDB on the
//! loopback address. A dev-dependency only.

pub mod bootstrap;
pub mod bootstraps;
pub mod clock;
pub mod conformance;
pub mod costs;
pub mod dynamo_stub;
pub mod flow;
pub mod jobs;
mod loopback;
pub mod orders;
pub mod process;
pub mod runtime_api;
pub mod service;
pub mod signed;
pub mod stack;
pub mod watcher;

pub use clock::TestClock;
pub use loopback::pin_to;
