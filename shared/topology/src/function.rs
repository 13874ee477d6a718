//! What a function is.

use events::{Selection, Subscription};

use crate::{Access, Parameter, Route, Setting};

/// The most characters of a function's name. With [`crate::STACK_NAME_AT_MOST`] characters of the stack's name and one between
/// them they make the 64 that Lambda allows
/// (<https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html>, read 2026-11-28).
pub const LONGEST_NAME: usize = 28;

/// A function: a folder under `functions/`, a package, a binary, a resource.
#[derive(Debug)]
pub struct Function {
    /// The name of folder, package and binary. A consumer's name is the identity of its marks: it is never changed.
    pub name: &'static str,
    /// What it does, in one line.
    pub description: &'static str,
    /// What a reader of the template should know of its block; empty: nothing.
    pub about: &'static str,
    /// The domains with which it is deployed, any of them; empty: it is part of the spine.
    pub domains: &'static [&'static str],
    /// What invokes it.
    pub kind: Kind,
    /// The tables that it writes, or shares with the others of its domain that do. Its own come first.
    pub owns: &'static [Access],
    /// The tables of others that it reads.
    pub reads: &'static [Access],
    /// What else it may do.
    pub needs: &'static [Need],
    /// Its settings, beside those that follow from kind, tables and needs.
    pub settings: &'static [Setting],
}

impl Function {
    /// A function of the spine without tables, needs or settings of its own.
    #[must_use]
    pub const fn new(name: &'static str, description: &'static str, kind: Kind) -> Self {
        Self {
            name,
            description,
            about: "",
            domains: &[],
            kind,
            owns: &[],
            reads: &[],
            needs: &[],
            settings: &[],
        }
    }

    /// What a reader of the template should know of its block.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Deployed with any of these domains, and not with the spine alone. A consumer need not say so: without the events that it
    /// listens to it is not deployed.
    #[must_use]
    pub const fn with_domains(mut self, domains: &'static [&'static str]) -> Self {
        self.domains = domains;
        self
    }

    /// The tables that it writes, its own first.
    #[must_use]
    pub const fn owning(mut self, owns: &'static [Access]) -> Self {
        self.owns = owns;
        self
    }

    /// The tables of others that it reads.
    #[must_use]
    pub const fn reading(mut self, reads: &'static [Access]) -> Self {
        self.reads = reads;
        self
    }

    /// What else it may do.
    #[must_use]
    pub const fn needing(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    /// Its settings, beside those that follow from kind, tables and needs.
    #[must_use]
    pub const fn with_settings(mut self, settings: &'static [Setting]) -> Self {
        self.settings = settings;
        self
    }

    /// What of the front it serves; empty of all that is no API.
    pub fn routes(&'static self) -> impl Iterator<Item = Route> {
        self.api()
            .into_iter()
            .flat_map(|api| api.routes)
            .map(|(method, path)| Route {
                method: *method,
                path,
            })
    }

    /// The consumer that it is, if it is one.
    #[must_use]
    pub const fn consumer(&self) -> Option<&Consumer> {
        match &self.kind {
            Kind::Consumer(consumer) => Some(consumer),
            _ => None,
        }
    }

    /// The job that it is, if it is one.
    #[must_use]
    pub const fn job(&self) -> Option<&Job> {
        match &self.kind {
            Kind::Job(job) => Some(job),
            _ => None,
        }
    }

    /// The API that it is, if it is one.
    #[must_use]
    pub const fn api(&self) -> Option<&Api> {
        match &self.kind {
            Kind::Api(api) => Some(api),
            _ => None,
        }
    }

    /// Whether it needs something.
    #[must_use]
    pub fn needs(&self, need: Need) -> bool {
        self.needs.contains(&need)
    }

    /// Its logical id in the template: `CloudTreasuryFunction`.
    #[must_use]
    pub fn logical_id(&self) -> String {
        format!("{}Function", self.pascal())
    }

    /// Its name as the logical ids of its resources begin: `CloudTreasury`.
    #[must_use]
    pub fn pascal(&self) -> String {
        pascal(self.name)
    }

    /// Whether it emits events: some contract names it as the producer.
    #[must_use]
    pub fn emits(&self) -> bool {
        events::Registry::shipped_contracts()
            .iter()
            .any(|contract| contract.producer == self.name)
    }
}

/// What invokes a function.
#[derive(Debug)]
pub enum Kind {
    /// The event log's stream: the relay.
    Relay,
    /// The lanes of a consumer.
    Consumer(Consumer),
    /// A schedule.
    Job(Job),
    /// The front.
    Api(Api),
    /// A Function URL that streams its answers.
    Stream(Endpoint),
}

/// What is special about a consumer.
#[derive(Debug)]
pub struct Consumer {
    /// What it listens to, and by which evidence.
    pub selection: Selection,
    /// Instances that one of its lanes may use at once.
    pub lane_concurrency: Concurrency,
    /// Records of a batch that it handles at the same time, 1 to 100; `None`: as the parameter says.
    pub record_concurrency: Option<u16>,
}

impl Consumer {
    /// A consumer of these events.
    #[must_use]
    pub const fn of<S: Subscription>() -> Self {
        Self::selecting(S::SELECTION)
    }

    /// A consumer of what is selected here, which its handler decodes in its own way.
    #[must_use]
    pub const fn selecting(selection: Selection) -> Self {
        Self {
            selection,
            lane_concurrency: Concurrency::Parameter,
            record_concurrency: None,
        }
    }

    /// Whose lanes and batches are worked on by few at a time.
    #[must_use]
    pub const fn limited_to(mut self, lane_concurrency: u16, record_concurrency: u16) -> Self {
        self.lane_concurrency = Concurrency::Fixed(lane_concurrency);
        self.record_concurrency = Some(record_concurrency);
        self
    }
}

/// Instances that a lane may use at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concurrency {
    /// As the parameter `LaneMaximumConcurrency` says.
    Parameter,
    /// So many, 2 to 1,000
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>, read 2026-11-28).
    Fixed(u16),
}

/// A function that a schedule starts.
#[derive(Debug)]
pub struct Job {
    /// When.
    pub schedule: &'static Parameter,
    /// What the schedule is for, in one line.
    pub looks_for: &'static str,
    /// The schedule is off unless this parameter is set; it must have a condition.
    pub only_with: Option<&'static Parameter>,
    /// Seconds that a run may take.
    pub timeout: u16,
    /// What a failed run means and what to do, for the alarm.
    pub on_error: &'static str,
    /// Whether the first failed run rings; else three of five.
    pub first_error_rings: bool,
    /// Alarms on what the job counts.
    pub alarms: &'static [JobAlarm],
}

/// An alarm on something that a job counts.
#[derive(Debug)]
pub struct JobAlarm {
    /// The metric's name: any above zero rings.
    pub metric: &'static str,
    /// The alarm's name behind the job's: `jobs-failed`.
    pub name: &'static str,
    /// What it means and what to do.
    pub text: &'static str,
}

/// A function behind the front.
#[derive(Debug)]
pub struct Api {
    /// What of the front it serves. A prefix has one owner.
    pub routes: &'static [(Method, &'static str)],
}

impl Api {
    /// A function that serves these routes.
    #[must_use]
    pub const fn of(routes: &'static [(Method, &'static str)]) -> Self {
        Self { routes }
    }
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Do.
    Post,
    /// Replace.
    Put,
    /// Change.
    Patch,
    /// Remove.
    Delete,
    /// Ask what a page of a browser may do. Not declared: every path has it, see [`crate::Deployment::preflights`].
    Options,
}

impl Method {
    /// As HTTP writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

/// A function with an address of its own.
#[derive(Debug)]
pub struct Endpoint {
    /// Seconds that a connection may last.
    pub timeout: u16,
    /// How many connections at once are reserved for it.
    pub reserved: &'static Parameter,
}

/// What a function may do beside reading and writing tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Publish to the bus.
    Publish,
    /// Ask whether the bus is there.
    DescribeBus,
    /// Ask whether SQS answers, by the attributes of one lane.
    OneLane,
    /// Send mail by SES.
    SendMail,
    /// Seal with the key of the audit log.
    Seal,
    /// See how much waits in every lane and every dead-letter queue, and for how long.
    WatchLanes,
    /// Know which domains are deployed.
    Domains,
    /// Keep what an asynchronous invocation could not do after its retries: in the bucket of failures.
    KeepFailures,
}

/// A name of words joined by hyphens as a logical id begins: `CloudTreasury`.
#[must_use]
pub fn pascal(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_uppercase() + rest
        })
        .collect()
}
