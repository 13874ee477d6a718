//! Whether Lambda polls the lanes of a consumer: the event source mappings of its function.
//!
//! * [`Mappings`]: the port; [`LambdaMappings`] is Lambda, [`MemoryMappings`] is for tests.
//! * [`apply`]: brings the mappings of a function to what is wanted, and says how far that is.

mod apply;
mod lambda;
mod memory;
mod port;

pub use apply::{Applied, apply};
pub use lambda::LambdaMappings;
pub use memory::MemoryMappings;
pub use port::{Answer, Mapping, MappingState, Mappings, Polling};
