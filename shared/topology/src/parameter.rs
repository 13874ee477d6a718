//! Parameters of the template, and the functions' settings that take their values.

/// A parameter of the template.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its group in the lists that people read.
    pub group: Group,
    /// The values that it accepts.
    pub form: Form,
    /// Its default. `None` if a value must be given.
    pub default: Option<&'static str>,
    /// Whether CloudFormation hides its value.
    pub secret: bool,
    /// What it means, with its unit and what to watch out for.
    pub description: &'static str,
    /// The name of the condition "the value is not the default", for everything that depends on it. If the value can
    /// be a secret, the condition also holds if [`Self::secret_arn`] is set.
    pub condition: Option<&'static str>,
    /// The parameter that can hold the ARN of a secret with the value instead. It must have a condition.
    pub secret_arn: Option<&'static Parameter>,
}

impl Parameter {
    /// A parameter with a default.
    #[must_use]
    pub const fn new(
        name: &'static str,
        group: Group,
        form: Form,
        default: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            name,
            group,
            form,
            default: Some(default),
            secret: false,
            description,
            condition: None,
            secret_arn: None,
        }
    }

    /// Lets another parameter hold the ARN of a secret in Secrets Manager that has the value.
    #[must_use]
    pub const fn or_secret(mut self, arn: &'static Self) -> Self {
        self.secret_arn = Some(arn);
        self
    }

    /// Adds a condition of this name: the value is not the default.
    #[must_use]
    pub const fn with_condition(mut self, name: &'static str) -> Self {
        self.condition = Some(name);
        self
    }

    /// Hides the value in CloudFormation.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Requires a value.
    #[must_use]
    pub const fn without_default(mut self) -> Self {
        self.default = None;
        self
    }
}

/// The values that a parameter accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Any text.
    Text,
    /// Text that matches a pattern, and a description of the pattern.
    Pattern(&'static str, &'static str),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A whole number with a minimum and a maximum.
    Number(u32, u32),
    /// One of these numbers.
    OneOfNumbers(&'static [u32]),
}

/// The reader of a parameter. People see the groups in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Every function.
    Every,
    /// The front, and the functions that answer callers.
    Front,
    /// Every consumer.
    Consumers,
    /// The relay.
    Relay,
    /// The event feed and the event stream.
    EventStream,
    /// The cloud credits and the treasury, which watches their backing.
    Cloud,
    /// The functions that keep credits and chain consistent.
    Chain,
    /// The wallets.
    Wallet,
    /// The settlements.
    Settlement,
    /// The orders of goods.
    Commerce,
    /// The functions that notify members.
    Notifications,
    /// The audit log.
    AuditLog,
    /// The webhooks.
    Webhooks,
    /// The alarms: `infra/aws-only.yaml`.
    Alarms,
}

impl Group {
    /// The group's heading.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Every => "Every function",
            Self::Front => "Front and APIs",
            Self::Consumers => "Consumers",
            Self::Relay => "Relay",
            Self::EventStream => "Event feed and event stream",
            Self::Cloud => "Cloud credits",
            Self::Chain => "Cloud credits on a chain",
            Self::Wallet => "Wallets",
            Self::Settlement => "Settlements",
            Self::Commerce => "Orders",
            Self::Notifications => "Notifications",
            Self::AuditLog => "Audit log",
            Self::Webhooks => "Webhooks",
            Self::Alarms => "Alarms",
        }
    }
}

/// A setting of a function.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
}

/// The value of a setting.
#[derive(Debug)]
pub enum Value {
    /// The parameter's value.
    Of(&'static Parameter),
    /// `true` if the parameter was set, else `false`. The parameter must have a condition.
    IsSet(&'static Parameter),
    /// A fixed text, and what it means.
    Text(&'static str, &'static str),
}

impl Setting {
    /// A setting that takes a parameter's value.
    #[must_use]
    pub const fn of(name: &'static str, parameter: &'static Parameter) -> Self {
        Self {
            name,
            value: Value::Of(parameter),
        }
    }

    /// A setting with a fixed text that no parameter changes, and what it means.
    #[must_use]
    pub const fn text(name: &'static str, text: &'static str, description: &'static str) -> Self {
        Self {
            name,
            value: Value::Text(text, description),
        }
    }

    /// The parameter that the value comes from.
    #[must_use]
    pub const fn parameter(&self) -> Option<&'static Parameter> {
        match self.value {
            Value::Of(parameter) | Value::IsSet(parameter) => Some(parameter),
            Value::Text(..) => None,
        }
    }
}
