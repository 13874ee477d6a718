//! The one integration binary: a module per story.

mod wiring;
