//! What tests and benchmarks stand on: a clock they hold, the suites every adapter must pass, the pipeline in memory, a
//! deployed stack and what makes its calls go wrong, a Lambda and a DynamoDB on the loopback address. A dev-dependency only.

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
