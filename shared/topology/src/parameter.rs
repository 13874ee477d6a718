//! Parameters of the template, and the settings of functions that take their values.

/// A parameter of the template.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it stands among the others, for people.
    pub group: Group,
    /// What it may be.
    pub form: Form,
    /// Its default; `None`: it must be given.
    pub default: Option<&'static str>,
    /// Whether its value is kept out of what CloudFormation shows.
    pub secret: bool,
    /// What it means, with its unit and what to mind.
    pub description: &'static str,
    /// The name of the condition that the parameter is not its default, for what depends on it.
    pub condition: Option<&'static str>,
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
        }
    }

    /// Under this name there is a condition that it was set.
    #[must_use]
    pub const fn with_condition(mut self, name: &'static str) -> Self {
        self.condition = Some(name);
        self
    }

    /// Not shown by CloudFormation.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Must be given.
    #[must_use]
    pub const fn without_default(mut self) -> Self {
        self.default = None;
        self
    }
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Any text.
    Text,
    /// Text of a form.
    Pattern(&'static str),
    /// Text of at least and at most so many characters.
    Length(u32, u32),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A whole number from, to.
    Number(u32, u32),
    /// One of these numbers.
    OneOfNumbers(&'static [u32]),
}

/// A group of parameters, in the order in which people see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// What the deployment is.
    Deployment,
    /// How consumers try again.
    Retries,
    /// What costs, and what it brings.
    Throughput,
    /// The domains' rules.
    Domains,
    /// E-mails and in-app notes.
    Notifications,
    /// The chain.
    Chain,
    /// The audit log.
    AuditLog,
    /// The event stream.
    EventStream,
}

impl Group {
    /// Its heading.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::Retries => "Retries",
            Self::Throughput => "Throughput and cost",
            Self::Domains => "Domains",
            Self::Notifications => "Notifications",
            Self::Chain => "Chain",
            Self::AuditLog => "Audit log",
            Self::EventStream => "Event stream",
        }
    }
}

/// A setting of a function.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// What it is set to.
    pub value: Value,
}

/// What a setting is set to.
#[derive(Debug)]
pub enum Value {
    /// What a parameter says.
    Of(&'static Parameter),
    /// `true` where a parameter was set, else `false`. It must have a condition.
    IsSet(&'static Parameter),
    /// This text.
    Text(&'static str),
}

impl Setting {
    /// What a parameter says.
    #[must_use]
    pub const fn of(name: &'static str, parameter: &'static Parameter) -> Self {
        Self {
            name,
            value: Value::Of(parameter),
        }
    }

    /// A text that no parameter changes.
    #[must_use]
    pub const fn text(name: &'static str, text: &'static str) -> Self {
        Self {
            name,
            value: Value::Text(text),
        }
    }

    /// The parameter that it takes its value from.
    #[must_use]
    pub const fn parameter(&self) -> Option<&'static Parameter> {
        match self.value {
            Value::Of(parameter) | Value::IsSet(parameter) => Some(parameter),
            Value::Text(_) => None,
        }
    }
}
