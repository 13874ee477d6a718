//! The in-memory store and bus, for tests and Flow.
