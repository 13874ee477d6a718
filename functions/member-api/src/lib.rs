//! member-api
