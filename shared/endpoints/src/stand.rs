//! How an endpoint stands: its lane and its retries together, and what follows for the next attempts.

use std::collections::BTreeSet;

use events::Timestamp;

use crate::{Endpoint, Lane, Retry, lane::PROBED_EVERY};

/// An endpoint's lane and retries, as they were read.
#[derive(Debug, Clone)]
pub struct Stand {
    /// The lane.
    pub lane: Lane,
    /// The retries, the oldest event first.
    pub retries: Vec<Retry>,
}

impl Stand {
    /// Whether the endpoint is sent nothing new.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.lane.is_halted(self.retries.len())
    }

    /// When an endpoint that is sent nothing new is tried nevertheless, so that it is noticed soon when it comes back.
    #[must_use]
    pub fn probed_at(&self) -> Timestamp {
        let tried = self.lane.tried_at.unwrap_or(Timestamp::EPOCH);
        tried.plus(PROBED_EVERY)
    }

    /// The retries that can be tried: of an endpoint in order, the first of each aggregate, and what somebody asked for.
    #[must_use]
    pub fn candidates(&self, endpoint: &Endpoint) -> Vec<&Retry> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for retry in &self.retries {
            if !endpoint.in_order() || retry.redelivery || seen.insert(retry.aggregate.as_str()) {
                found.push(retry);
            }
        }
        found
    }

    /// When a retry is tried: when it is due or, the oldest of an endpoint that is sent nothing new, as a probe.
    #[must_use]
    pub fn due(&self, retry: &Retry) -> Timestamp {
        let due = retry.due(&self.lane);
        let first = self.probes().next();
        let is_oldest = first.is_some_and(|first| first.position == retry.position);
        if is_oldest && self.is_halted() {
            due.min(self.probed_at())
        } else {
            due
        }
    }

    /// When the next attempt is due that is no new event's; of an endpoint that is sent nothing new, when it is probed.
    #[must_use]
    pub fn next_due(&self, endpoint: &Endpoint) -> Option<Timestamp> {
        let candidates = self.candidates(endpoint).into_iter();
        let next = candidates.map(|retry| self.due(retry)).min();
        let probed = (self.is_halted() && self.probes().next().is_none()).then(|| self.probed_at());
        next.into_iter().chain(probed).min()
    }

    /// The retries by which an endpoint that is sent nothing new can be probed, the oldest event first.
    pub fn probes(&self) -> impl Iterator<Item = &Retry> {
        self.retries.iter().filter(|retry| !retry.postponed)
    }
}
