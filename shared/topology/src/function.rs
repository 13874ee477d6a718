//! The declaration of a function.

use events::{Selection, Subscription};

use crate::{Access, Parameter, Route, Setting, parameters};

/// The maximum length of a function's name, in characters. It leaves room for [`crate::STACK_NAME_AT_MOST`] characters
/// of the stack's name and a separator: Lambda allows 64 in all
/// (<https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html>, read 2026-11-28).
pub const LONGEST_NAME: usize = events::LONGEST_FUNCTION_NAME;

/// The job that sends the heartbeat. That it does not run is seen by the heartbeat's own absence, so it has no other alarm
/// for that.
pub const HEARTBEAT: &str = "heartbeat";

/// The consumer of the heartbeat. The event that it handles has gone all the way: commit, event log, stream, relay, bus,
/// rule, lane, handler. An alarm reports that it handles none; a deployment without this consumer has no such alarm.
pub const HEARTBEAT_ARRIVAL: &str = "heartbeat-arrival";

/// A function: one folder under `functions/`, one package, one binary, one Lambda function resource.
#[derive(Debug)]
pub struct Function {
    /// The name of folder, package and binary. A consumer's name identifies its marks, so it is never changed.
    pub name: &'static str,
    /// What it does, in one line.
    pub description: &'static str,
    /// What a reader of the template needs to know about its block. Empty if there is nothing to say.
    pub about: &'static str,
    /// The function is deployed with any of these domains. Empty if it belongs to the spine.
    pub domains: &'static [&'static str],
    /// What invokes it.
    pub kind: Kind,
    /// The tables that the function writes. Its own come first, then those it shares with the other writers of its
    /// domain.
    pub owns: &'static [Access],
    /// The tables of other functions that it reads.
    pub reads: &'static [Access],
    /// What else it is allowed to do.
    pub needs: &'static [Need],
    /// Its settings, in addition to those that follow from kind, tables and needs.
    pub settings: &'static [Setting],
    /// The types of its events that the person on call is sent, beside the alarms.
    pub tells: &'static [&'static str],
    /// The types of events that it emits although their contracts name another function as the producer: it changes the same
    /// aggregates.
    pub also_emits: &'static [&'static str],
}

impl Function {
    /// A function of the spine, without tables, needs or settings of its own.
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
            tells: &[],
            also_emits: &[],
        }
    }

    /// Sets what a reader of the template needs to know about its block.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Deploys the function with any of these domains, and not with the spine alone. A consumer does not need this: it
    /// is not deployed without the events that it listens to.
    #[must_use]
    pub const fn with_domains(mut self, domains: &'static [&'static str]) -> Self {
        self.domains = domains;
        self
    }

    /// Sets the tables that it writes, its own first.
    #[must_use]
    pub const fn owning(mut self, owns: &'static [Access]) -> Self {
        self.owns = owns;
        self
    }

    /// Sets the tables of other functions that it reads.
    #[must_use]
    pub const fn reading(mut self, reads: &'static [Access]) -> Self {
        self.reads = reads;
        self
    }

    /// Sets what else it is allowed to do.
    #[must_use]
    pub const fn needing(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    /// Sets its settings, in addition to those that follow from kind, tables and needs.
    #[must_use]
    pub const fn with_settings(mut self, settings: &'static [Setting]) -> Self {
        self.settings = settings;
        self
    }

    /// Sends its events of these types to the topic of the warnings: something that happens once, and has no metric worth
    /// an alarm's price. No more than one in a while, as each is a mail.
    #[must_use]
    pub const fn telling(mut self, tells: &'static [&'static str]) -> Self {
        self.tells = tells;
        self
    }

    /// Lets it emit events of these types, whose contracts name another function as the producer.
    #[must_use]
    pub const fn emitting(mut self, types: &'static [&'static str]) -> Self {
        self.also_emits = types;
        self
    }

    /// The front's routes that it serves. Empty if it is not an API.
    pub fn routes(&'static self) -> impl Iterator<Item = Route> {
        self.api()
            .into_iter()
            .flat_map(|api| api.routes)
            .map(|(method, path)| Route {
                method: *method,
                path,
            })
    }

    /// Its declaration as a consumer, if it is one.
    #[must_use]
    pub const fn consumer(&self) -> Option<&Consumer> {
        match &self.kind {
            Kind::Consumer(consumer) => Some(consumer),
            _ => None,
        }
    }

    /// Its declaration as a job, if it is one.
    #[must_use]
    pub const fn job(&self) -> Option<&Job> {
        match &self.kind {
            Kind::Job(job) => Some(job),
            _ => None,
        }
    }

    /// Its declaration as an API, if it is one.
    #[must_use]
    pub const fn api(&self) -> Option<&Api> {
        match &self.kind {
            Kind::Api(api) => Some(api),
            _ => None,
        }
    }

    /// Whether it has this need.
    #[must_use]
    pub fn needs(&self, need: Need) -> bool {
        self.needs.contains(&need)
    }

    /// Its logical id in the template: `CloudTreasuryFunction`.
    #[must_use]
    pub fn logical_id(&self) -> String {
        format!("{}Function", self.pascal())
    }

    /// The beginning of its resources' logical ids: `CloudTreasury`.
    #[must_use]
    pub fn pascal(&self) -> String {
        pascal(self.name)
    }

    /// Whether it emits events: at least one contract names it as the producer, or it emits another one's, too.
    #[must_use]
    pub fn emits(&self) -> bool {
        if !self.also_emits.is_empty() {
            return true;
        }
        events::Registry::shipped_contracts()
            .iter()
            .any(|contract| contract.producer == self.name)
    }
}

/// What invokes a function.
#[derive(Debug)]
pub enum Kind {
    /// The event log's stream. Only the relay is of this kind.
    Relay,
    /// The lanes of a consumer.
    Consumer(Consumer),
    /// A schedule.
    Job(Job),
    /// HTTP requests through the front.
    Api(Api),
    /// HTTP requests through a Function URL that streams its answers.
    Stream(Endpoint),
    /// The stack's dead-letter queue ([`crate::DEAD_LETTERS`]), which it drains: it stores each dead letter, and only then
    /// lets SQS delete the message. At most one function of a deployment is of this kind. Without one, the queue keeps
    /// its messages until they expire ([`crate::LANE_RETENTION`]).
    DeadLetters,
}

/// The part of a declaration that only consumers have.
#[derive(Debug)]
pub struct Consumer {
    /// What it listens to, and by which evidence.
    pub selection: Selection,
    /// How many instances one of its lanes can use at once.
    pub lane_concurrency: Concurrency,
}

impl Consumer {
    /// A consumer of this subscription's events.
    #[must_use]
    pub const fn of<S: Subscription>() -> Self {
        Self::selecting(S::SELECTION)
    }

    /// A consumer of this selection, which its handler decodes in its own way.
    #[must_use]
    pub const fn selecting(selection: Selection) -> Self {
        Self {
            selection,
            lane_concurrency: Concurrency::Parameter,
        }
    }

    /// Limits how many instances a lane can use.
    #[must_use]
    pub const fn limited_to(mut self, lane_concurrency: u16) -> Self {
        self.lane_concurrency = Concurrency::Fixed(lane_concurrency);
        self
    }
}

/// How many instances a lane can use at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concurrency {
    /// The value of the parameter `LaneMaximumConcurrency`.
    Parameter,
    /// This number, 2 to 1,000 (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>, read
    /// 2026-11-28).
    Fixed(u16),
}

/// A function that a schedule starts.
#[derive(Debug)]
pub struct Job {
    /// The parameter that holds the schedule.
    pub schedule: &'static Parameter,
    /// What the schedule is for, in one line.
    pub looks_for: &'static str,
    /// If set, the schedule is off unless this parameter has a value. The parameter must have a condition.
    pub only_with: Option<&'static Parameter>,
    /// The maximum duration of a run, in seconds.
    pub timeout: u16,
    /// The alarm's text: what a failed run means and what to do.
    pub on_error: &'static str,
    /// Whether the first failed run raises the alarm. If not, three failed of five periods raise it.
    pub first_error_rings: bool,
    /// Alarms on the counters of the job.
    pub alarms: &'static [JobAlarm],
}

/// An alarm on one of a job's counters.
#[derive(Debug)]
pub struct JobAlarm {
    /// The metric's name. Any value above zero raises the alarm.
    pub metric: &'static str,
    /// The alarm's name after the job's: `jobs-failed`.
    pub name: &'static str,
    /// What it means and what to do.
    pub text: &'static str,
}

/// A function behind the front (API Gateway).
#[derive(Debug)]
pub struct Api {
    /// The front's routes that it serves. Each prefix has one owner.
    pub routes: &'static [(Method, &'static str)],
    /// Whether it changes state, so that its requests need marks.
    pub changes_state: bool,
}

impl Api {
    /// A function that serves these routes.
    #[must_use]
    pub const fn of(routes: &'static [(Method, &'static str)]) -> Self {
        Self {
            routes,
            changes_state: true,
        }
    }

    /// Declares that it changes no state: it needs no marks.
    #[must_use]
    pub const fn without_state(mut self) -> Self {
        self.changes_state = false;
        self
    }
}

/// An HTTP method.
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
    /// Asks what a page in a browser is allowed to do. It is not declared: every path has it, see
    /// [`crate::Deployment::preflights`].
    Options,
}

impl Method {
    /// The method's name in HTTP.
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

/// A function with a Function URL.
#[derive(Debug)]
pub struct Endpoint {
    /// The maximum duration of a connection, in seconds.
    pub timeout: u16,
    /// The parameter that holds how many concurrent connections are reserved for it.
    pub reserved: &'static Parameter,
    /// The parameter that says whether there is a Function URL: `true` or `false`.
    pub url: &'static Parameter,
}

/// A permission of a function beyond reading and writing tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Publish to the bus.
    Publish,
    /// Check that the bus exists.
    DescribeBus,
    /// Check that SQS answers, by reading the attributes of one lane.
    OneLane,
    /// Send mail by SES.
    SendMail,
    /// Seal with the key of the audit log.
    Seal,
    /// Read how many messages wait in every lane and in the dead-letter queue, and for how long.
    WatchLanes,
    /// Send messages to every lane: those of dead letters that go back to their consumers, and those of replays.
    SendToLanes,
    /// Know since when each lane exists, and how large the event log is.
    KnowLanesAndLog,
    /// Have Lambda poll the lanes of the stack's consumers, or not: enable and disable their event source mappings.
    PauseConsumers,
    /// Know which domains are deployed.
    Domains,
    /// Know the secret that signs stream tokens.
    StreamTokens,
    /// Know where clients reach the event stream.
    StreamAddress,
    /// Keep the asynchronous invocations that failed after all retries, in the bucket for failures.
    KeepFailures,
    /// Know which addresses and ports webhooks may go to.
    CallEndpoints,
}

impl Need {
    /// The parameters that come with it.
    #[must_use]
    pub const fn parameters(self) -> &'static [&'static Parameter] {
        match self {
            Self::SendMail => &[&parameters::EMAIL_SENDER, &parameters::SES_RESOURCE],
            Self::StreamTokens => &[&parameters::STREAM_TOKEN_SECRET_ARN],
            Self::StreamAddress => &[&parameters::STREAM_ADDRESS],
            Self::Seal => &[&parameters::EXISTING_AUDIT_KEY_ARN],
            Self::KeepFailures => &[&parameters::KEEP_FAILED_INVOCATIONS],
            Self::CallEndpoints => &[&parameters::WEBHOOK_NETWORKS, &parameters::WEBHOOK_PORTS],
            _ => &[],
        }
    }
}

/// Converts a name of words joined by hyphens to the beginning of a logical id: `CloudTreasury`.
#[must_use]
pub fn pascal(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_uppercase() + rest
        })
        .collect()
}
