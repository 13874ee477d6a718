//! The EventBridge publisher.
