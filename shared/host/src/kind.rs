//! The settings that each kind of function reads from its environment, before those of the function itself.

use api::Cors;
use consumer::{messages, schedule};
use outbox::{
    Table,
    env::{Env, SettingError},
};

/// The settings that [`crate::Host::outbox_without_log`] needs.
pub const MARKS: &[&str] = &["MARKS_TABLE"];

/// The settings that [`crate::Host::outbox`] needs.
pub const LOG_AND_MARKS: &[&str] = &["EVENTS_TABLE", "MARKS_TABLE"];

/// A kind of function.
pub trait Kind: Sized {
    /// The settings that every function of this kind needs to start.
    const REQUIRED: &'static [&'static str];

    /// Reads the settings of this kind.
    ///
    /// # Errors
    /// [`SettingError`] names the setting that is missing or invalid.
    fn of_settings(env: &Env) -> Result<Self, SettingError>;
}

/// The kinds whose functions choose the tables of their outbox. An API is not one of them: its outbox is made for it.
pub trait OwnOutbox {}

/// A function without a kind.
#[derive(Debug)]
pub struct Plain;

/// The tables of an API, and the browser origins that may call it.
#[derive(Debug)]
pub struct ApiTables {
    pub(crate) events: Table,
    pub(crate) marks: Table,
    pub(crate) keys: Table,
    pub(crate) cors: Cors,
}

pub(crate) fn events(env: &Env) -> Result<Table, SettingError> {
    env.required("EVENTS_TABLE").map(Table::events)
}

pub(crate) fn marks(env: &Env) -> Result<Table, SettingError> {
    env.required("MARKS_TABLE").map(Table::marks)
}

impl Kind for Plain {
    const REQUIRED: &'static [&'static str] = &[];

    fn of_settings(_: &Env) -> Result<Self, SettingError> {
        Ok(Self)
    }
}

impl Kind for ApiTables {
    const REQUIRED: &'static [&'static str] = &["EVENTS_TABLE", "MARKS_TABLE", "KEYS_TABLE"];

    fn of_settings(env: &Env) -> Result<Self, SettingError> {
        Ok(Self {
            events: events(env)?,
            marks: marks(env)?,
            keys: env.required("KEYS_TABLE").map(Table::domain)?,
            cors: Cors::from_env(env)?,
        })
    }
}

impl Kind for consumer::Config {
    const REQUIRED: &'static [&'static str] = &["STACK_NAME"];

    fn of_settings(env: &Env) -> Result<Self, SettingError> {
        Self::from_env(env)
    }
}

impl OwnOutbox for Plain {}

impl OwnOutbox for consumer::Config {}

impl Kind for schedule::Settings {
    const REQUIRED: &'static [&'static str] = &["STACK_NAME"];

    fn of_settings(env: &Env) -> Result<Self, SettingError> {
        Self::from_env(env)
    }
}

impl OwnOutbox for schedule::Settings {}

impl Kind for messages::Settings {
    const REQUIRED: &'static [&'static str] = &["STACK_NAME"];

    fn of_settings(env: &Env) -> Result<Self, SettingError> {
        Self::from_env(env)
    }
}

impl OwnOutbox for messages::Settings {}
