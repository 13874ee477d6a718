//! cloud-treasury
