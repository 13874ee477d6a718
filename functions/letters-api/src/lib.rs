//! `letters-api`.
