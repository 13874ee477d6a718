//! Which stack a verb works on, and which AWS that stack is in. Every verb that calls a stack asks here.
//!
//! The first of these that names a stack decides:
//!
//! 1. the command line: names of tables and buses where the verb takes them, then `--resources`, `--stack`, `--local`;
//! 2. the environment, as a person set it or as `source .local/env` sets it: names of tables and buses, then
//!    `STACK_RESOURCES`, `STACK_NAME`;
//! 3. the file `.local/env` that `make up` wrote in the current folder or in a folder above it.
//!
//! Endpoint, region and credentials come from `--region` and `--profile`, then from the AWS SDK's environment and
//! profiles, and from the file only if the file named the stack or `--local` names the file. So `--stack` without
//! `AWS_ENDPOINT_URL` is the real AWS. The third rule does not apply while `--region`, `--profile` or the environment
//! selects another AWS (see [`SELECT_AN_AWS`]): a command meant for a real account must never reach the local one
//! silently, nor the other way round.

use std::{
    collections::BTreeMap,
    net::{TcpStream, ToSocketAddrs as _},
    path::{Path, PathBuf},
    time::Duration,
};

use aws::Endpoint;
use aws_config::SdkConfig;
use clap::Args;

use crate::{
    env_file, output,
    output::CliError,
    resources::{StackResources, UnknownResources},
};

/// The folder in which `make up` keeps what belongs to its local AWS.
const LOCAL: &str = ".local";

/// Variables that select an AWS, or credentials for one.
const SELECT_AN_AWS: [&str; 6] = [
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// How long a local AWS may take to accept a connection.
const ACCEPTS_WITHIN: Duration = Duration::from_secs(2);

/// Which stack a verb works on. If none of these is given, the environment names it (STACK_RESOURCES, STACK_NAME), else
/// the file `.local/env` of the checkout.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Place {
    /// The stack's name. CloudFormation lists its resources. Default: STACK_NAME, else the stack of `.local/env`
    #[arg(long, value_name = "NAME", help_heading = "Which stack")]
    stack: Option<String>,
    /// A file with the stack's resources, for credentials that may not ask CloudFormation: what
    /// `aws cloudformation list-stack-resources` prints. Default: STACK_RESOURCES
    #[arg(long, value_name = "FILE", help_heading = "Which stack")]
    resources: Option<PathBuf>,
    /// The folder of a local AWS, `make up LOCAL=<folder>`: its file `env` names endpoint, credentials and stack. It is
    /// looked for in the current folder and in those above. Default: `.local`, if neither command line nor environment
    /// names a stack
    #[arg(
        long,
        value_name = "FOLDER",
        help_heading = "Which stack",
        conflicts_with_all = ["profile", "region"]
    )]
    local: Option<PathBuf>,
    /// The profile of `~/.aws/config` whose credentials are used, of any kind that the AWS CLI knows. It outranks
    /// credentials in the environment. Default: AWS_PROFILE
    #[arg(long, value_name = "NAME", help_heading = "Which AWS")]
    profile: Option<String>,
    /// The region. Default: AWS_REGION, else the profile's
    #[arg(long, value_name = "NAME", help_heading = "Which AWS")]
    region: Option<String>,
}

/// Why no stack was found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// Neither command line nor environment nor checkout names a stack.
    #[error(
        "no stack is named. There are three ways to name one: --stack <name> (or --resources <file>, or --local <folder> for \
         the local AWS of `make up`); STACK_NAME or STACK_RESOURCES in the environment, as `source .local/env` sets them; or \
         a run inside a checkout whose `make up` wrote .local/env{0}"
    )]
    NoStack(String),
    /// `--local` names a folder that is not there, or was never written by `make up`.
    #[error("there is no {0} in the current folder or above: `make up LOCAL=<folder>` writes it")]
    NoFile(String),
    /// The file is not as `make up` writes it.
    #[error("{path} is not a file that `make up` wrote: {why}. `make up` writes it again")]
    File { path: String, why: String },
    /// The local AWS is gone.
    #[error(
        "nothing answers at {url}, which {named_by} names: the local AWS was ended or died. `make status{make}` says what \
         runs, `make up{make}` starts it again"
    )]
    Gone {
        url: String,
        named_by: String,
        make: String,
    },
}

impl PlaceError {
    /// Names one more way, of verbs that call the API only.
    fn or_an_api(self) -> Self {
        match self {
            Self::NoStack(more) => Self::NoStack(format!(
                "{more}. For this verb, the URL of the stack's API will do: --api-url or API_URL"
            )),
            other => other,
        }
    }

    /// Whether the command line has to be changed.
    pub(crate) const fn is_usage(&self) -> bool {
        matches!(self, Self::NoStack(_) | Self::NoFile(_))
    }
}

/// A stack's HTTP API. The key is not shown, so this has no `Debug`.
pub(crate) struct Front {
    /// Its URL, the part before `/api/v1`.
    pub(crate) url: String,
    /// The key, if there is one.
    pub(crate) key: Option<String>,
    /// Who runs this, as the environment says.
    pub(crate) user: Option<String>,
}

/// What a verb works on: the names that were given directly, or the stack that has them.
#[derive(Debug)]
pub(crate) enum Names<const N: usize> {
    Given([String; N]),
    Stack(StackResources),
}

impl Place {
    /// Finds the stack and the AWS it is in.
    ///
    /// # Errors
    /// [`PlaceError`], or [`UnknownResources`] if the stack's resources cannot be read.
    pub(crate) async fn open(&self) -> Result<(SdkConfig, StackResources), CliError> {
        match self.open_or(None::<[String; 0]>, []).await? {
            (sdk, Names::Stack(resources)) => Ok((sdk, resources)),
            (_, Names::Given([])) => Err(PlaceError::NoStack(String::new()).into()),
        }
    }

    /// The same for a verb that can work with names alone: those `given` on the command line, or those in the
    /// environment's `variables`, if all of them are set.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub(crate) async fn open_or<const N: usize>(
        &self,
        given: Option<[String; N]>,
        variables: [&str; N],
    ) -> Result<(SdkConfig, Names<N>), CliError> {
        let surroundings = Surroundings::of_process()?;
        let choice = self.choose(given, variables, &surroundings)?;
        self.reach(choice, &surroundings).await
    }

    /// Finds the stack's HTTP API and the key for it. `given` is its URL on the command line.
    ///
    /// The URL is found by the rules of this module, where API_URL in the environment is a name like those of tables.
    /// The key is API_KEY of the environment, else of the file if the file named the stack. After `--local`, the key of
    /// that file comes first, because its URL does.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub(crate) async fn api(&self, given: Option<String>) -> Result<Front, CliError> {
        let surroundings = Surroundings::of_process()?;
        let choice = self
            .choose(given.map(|url| [url]), ["API_URL"], &surroundings)
            .map_err(PlaceError::or_an_api)?;
        let key = self.api_key(&choice.aws, &surroundings);
        let user = surroundings.variable("USER").map(str::to_owned);
        if let Some(url) = choice.api_url() {
            if let Some(notice) = &choice.notice {
                output::note(notice);
            }
            if !matches!(choice.target, Target::Given(_)) {
                choice.aws.check_it_answers(&surroundings)?;
            }
            return Ok(Front { url, key, user });
        }
        let url = match self.reach(choice, &surroundings).await? {
            (_, Names::Given([url])) => url,
            (sdk, Names::Stack(resources)) => {
                let region = sdk.region().map(AsRef::as_ref);
                let url = api_url(sdk.endpoint_url(), region, resources.api()?);
                url.ok_or("no region is named: --region, AWS_REGION, or a profile with one")?
            }
        };
        Ok(Front { url, key, user })
    }

    fn api_key(&self, aws: &Aws, surroundings: &Surroundings) -> Option<String> {
        let of_environment = surroundings.variable("API_KEY").map(str::to_owned);
        match aws {
            Aws::Environment => of_environment,
            Aws::Local(local) if self.local.is_some() => local.api_key.clone().or(of_environment),
            Aws::Local(local) => of_environment.or_else(|| local.api_key.clone()),
        }
    }

    /// Opens what was chosen.
    async fn reach<const N: usize>(
        &self,
        choice: Choice<N>,
        surroundings: &Surroundings,
    ) -> Result<(SdkConfig, Names<N>), CliError> {
        if let Some(notice) = &choice.notice {
            output::note(notice);
        }
        choice.aws.check_it_answers(surroundings)?;
        let sdk = match &choice.aws {
            Aws::Environment => {
                aws::sdk_config_named(self.profile.as_deref(), self.region.as_deref()).await
            }
            Aws::Local(local) => aws::sdk_config_of(&local.endpoint).await,
        };
        let names = match choice.target {
            Target::Given(names) => Names::Given(names),
            Target::Resources(path) => Names::Stack(read_resources(&path)?),
            Target::Stack(name) => Names::Stack(StackResources::of_stack(&sdk, &name).await?),
        };
        Ok((sdk, names))
    }

    /// Applies the rules of this module.
    fn choose<const N: usize>(
        &self,
        given: Option<[String; N]>,
        variables: [&str; N],
        surroundings: &Surroundings,
    ) -> Result<Choice<N>, PlaceError> {
        let local = match &self.local {
            Some(folder) => Some(surroundings.named_file(folder)?),
            None => None,
        };
        let on_command_line = given
            .map(Target::Given)
            .or_else(|| self.resources.clone().map(Target::Resources))
            .or_else(|| self.stack.clone().map(Target::Stack));
        let chosen = match (on_command_line, &local) {
            (Some(target), _) => Some(target),
            (None, Some(local)) => Some(local.target()),
            (None, None) => surroundings.target(variables),
        };
        if let Some(target) = chosen {
            return Ok(Choice {
                target,
                aws: local.map_or(Aws::Environment, |local| Aws::Local(Box::new(local))),
                notice: None,
            });
        }
        let Some(path) = surroundings.env_file(Path::new(LOCAL)) else {
            return Err(PlaceError::NoStack(String::new()));
        };
        let shown = surroundings.shown(&path);
        let set = |name: &&&str| surroundings.variable(name).is_some();
        let selects = [("--profile", &self.profile), ("--region", &self.region)]
            .into_iter()
            .find_map(|(option, given)| given.is_some().then_some(option))
            .or_else(|| SELECT_AN_AWS.iter().find(set).copied());
        if let Some(selects) = selects {
            return Err(PlaceError::NoStack(format!(
                ". {shown} is there, but {selects} is set and may mean another AWS: `--local {LOCAL}` alone uses the file all the same"
            )));
        }
        let local = Local::read(path, shown)?;
        Ok(Choice {
            target: local.target(),
            notice: Some(format!(
                "millrace: using the stack {} of {}",
                local.stack, local.shown
            )),
            aws: Aws::Local(Box::new(local)),
        })
    }
}

/// The URL of a REST API's stage. An endpoint of its own is a local AWS, which serves all APIs below one path.
fn api_url(
    endpoint: Option<&str>,
    region: Option<&str>,
    (id, stage): (&str, &str),
) -> Option<String> {
    if let Some(endpoint) = endpoint {
        let endpoint = endpoint.trim_end_matches('/');
        return Some(format!("{endpoint}/restapis/{id}/{stage}/_user_request_"));
    }
    let region = region?;
    let suffix = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    Some(format!(
        "https://{id}.execute-api.{region}.{suffix}/{stage}"
    ))
}

/// What was chosen, before anything is called.
#[derive(Debug, PartialEq, Eq)]
struct Choice<const N: usize> {
    target: Target<N>,
    aws: Aws,
    /// What the operator has to know about the choice.
    notice: Option<String>,
}

impl Choice<1> {
    /// The URL of the API, if the command line, the environment or the file of the chosen stack has it.
    fn api_url(&self) -> Option<String> {
        match (&self.target, &self.aws) {
            (Target::Given([url]), _) => Some(url.clone()),
            (target, Aws::Local(local)) if *target == local.target() => local.api_url.clone(),
            _ => None,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Target<const N: usize> {
    Given([String; N]),
    Resources(PathBuf),
    Stack(String),
}

#[derive(Debug, PartialEq, Eq)]
enum Aws {
    /// As the environment and the profiles say.
    Environment,
    /// As the file of a local AWS says.
    Local(Box<Local>),
}

impl Aws {
    /// Tries to connect to a local AWS, so that one that is gone is reported as such, at once. An AWS elsewhere is left
    /// to the SDK, with its retries.
    fn check_it_answers(&self, surroundings: &Surroundings) -> Result<(), PlaceError> {
        let (url, named_by, make) = match self {
            Self::Local(local) => (
                local.endpoint.url.as_str(),
                local.shown.clone(),
                local.make_setting(),
            ),
            Self::Environment => match surroundings.variable("AWS_ENDPOINT_URL") {
                Some(url) if is_loopback(url) => {
                    (url, "AWS_ENDPOINT_URL".to_owned(), String::new())
                }
                _ => return Ok(()),
            },
        };
        if accepts(url) {
            return Ok(());
        }
        Err(PlaceError::Gone {
            url: url.to_owned(),
            named_by,
            make,
        })
    }
}

/// Host and port of a URL.
fn authority(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    match (has_port, scheme) {
        (true, _) => host.to_owned(),
        (false, "https") => format!("{host}:443"),
        (false, _) => format!("{host}:80"),
    }
}

fn is_loopback(url: &str) -> bool {
    let authority = authority(url);
    let host = authority.rsplit_once(':').map_or("", |(host, _)| host);
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

/// Whether something accepts connections there.
fn accepts(url: &str) -> bool {
    let addresses = authority(url).to_socket_addrs();
    addresses.is_ok_and(|mut addresses| {
        addresses.any(|address| TcpStream::connect_timeout(&address, ACCEPTS_WITHIN).is_ok())
    })
}

fn read_resources(path: &Path) -> Result<StackResources, UnknownResources> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        UnknownResources::new(format!("cannot read {}: {error}", path.display()))
    })?;
    StackResources::from_json(&text)
}

/// A local AWS and its stack, as the file `env` of its folder says.
#[derive(Debug, PartialEq, Eq)]
struct Local {
    path: PathBuf,
    /// The path as messages show it.
    shown: String,
    endpoint: Endpoint,
    stack: String,
    resources: Option<PathBuf>,
    api_url: Option<String>,
    api_key: Option<String>,
}

impl Local {
    fn read(path: PathBuf, shown: String) -> Result<Self, PlaceError> {
        let wrong = |why: String| PlaceError::File {
            path: shown.clone(),
            why,
        };
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        let mut variables = env_file::parse(&text).map_err(|error| wrong(error.to_string()))?;
        let mut take = |name: &str| {
            let value = variables.remove(name).filter(|value| !value.is_empty());
            value.ok_or_else(|| wrong(format!("it does not set {name}")))
        };
        Ok(Self {
            endpoint: Endpoint {
                url: take("AWS_ENDPOINT_URL")?,
                region: take("AWS_REGION")?,
                access_key_id: take("AWS_ACCESS_KEY_ID")?,
                secret_access_key: take("AWS_SECRET_ACCESS_KEY")?,
            },
            stack: take("STACK_NAME")?,
            resources: take("STACK_RESOURCES").ok().map(PathBuf::from),
            api_url: take("API_URL").ok(),
            api_key: take("API_KEY").ok(),
            path,
            shown,
        })
    }

    fn target<const N: usize>(&self) -> Target<N> {
        let file = self.resources.clone().map(Target::Resources);
        file.unwrap_or_else(|| Target::Stack(self.stack.clone()))
    }

    /// What has to stand behind make's verbs for this folder.
    fn make_setting(&self) -> String {
        let folder = self.path.parent().unwrap_or(Path::new(LOCAL));
        if folder.ends_with(LOCAL) {
            String::new()
        } else {
            format!(" LOCAL={}", folder.display())
        }
    }
}

/// What surrounds the process.
struct Surroundings {
    variables: BTreeMap<String, String>,
    folder: PathBuf,
}

impl Surroundings {
    fn of_process() -> std::io::Result<Self> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            Some((name, value))
        });
        Ok(Self {
            variables: variables.collect(),
            folder: std::env::current_dir()?,
        })
    }

    /// A variable of the environment; an empty one counts as not set.
    fn variable(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// What the environment names.
    fn target<const N: usize>(&self, variables: [&str; N]) -> Option<Target<N>> {
        let names = variables.map(|name| self.variable(name).unwrap_or_default().to_owned());
        let are_all_set = N > 0 && names.iter().all(|name| !name.is_empty());
        let variable = |name: &str| self.variable(name).map(str::to_owned);
        are_all_set
            .then_some(Target::Given(names))
            .or_else(|| Some(Target::Resources(variable("STACK_RESOURCES")?.into())))
            .or_else(|| Some(Target::Stack(variable("STACK_NAME")?)))
    }

    /// The file `env` of a folder that is looked for in the current folder and in those above.
    fn env_file(&self, local: &Path) -> Option<PathBuf> {
        let mut folders = self.folder.ancestors();
        folders.find_map(|folder| {
            let path = folder.join(local).join("env");
            path.is_file().then_some(path)
        })
    }

    /// The file of the folder that `--local` names.
    fn named_file(&self, local: &Path) -> Result<Local, PlaceError> {
        let Some(path) = self.env_file(local) else {
            let path = local.join("env").display().to_string();
            return Err(PlaceError::NoFile(path));
        };
        let shown = self.shown(&path);
        Local::read(path, shown)
    }

    /// A path as messages show it: from the current folder, if it lies there.
    fn shown(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.folder).unwrap_or(path);
        path.display().to_string()
    }
}

#[cfg(test)]
mod tests;
