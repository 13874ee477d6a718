//! system-api
