//! Renders `template.yaml` and `infra/aws-only.yaml` from the declared topology. From both it also makes
//! `infra/parameters.json`, with which values are checked before anything is built, and `infra/docs/settings.md`; and
//! `infra/restore.yaml`, the tables alone, and `infra/grafana-dashboard.json`. This crate only makes text: `make template`
//! writes the files, and a test compares the checked-in files with it.

mod alarms;
mod main_template;
mod parameter;
mod reach;
mod restore;
mod role;
mod settings;
mod settings_page;
mod table;
mod yaml;

use topology::{Deployment, Problem, parameters};

/// `template.yaml`, relative to the folder that `make template` writes to.
const MAIN: &str = "template.yaml";
/// `infra/aws-only.yaml`.
const AWS_ONLY: &str = "infra/aws-only.yaml";
/// `infra/restore.yaml`.
const RESTORE: &str = "infra/restore.yaml";
/// `infra/grafana-dashboard.json`.
const GRAFANA: &str = "infra/grafana-dashboard.json";
/// The variant of `template.yaml` with gradual deployments. It is rendered for a deployment and not checked in.
const GRADUAL: &str = "template-gradual.yaml";

/// Both templates, and the files that are made of the same declarations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// `template.yaml`.
    pub main: String,
    /// `infra/aws-only.yaml`.
    pub aws_only: String,
    /// `infra/parameters.json`: the parameters of each template.
    pub parameters: String,
    /// `infra/docs/settings.md`: every setting, as people read it.
    pub settings: String,
    /// `infra/restore.yaml`: the tables alone, to import restored ones.
    pub restore: String,
    /// `infra/grafana-dashboard.json`: the dashboard for Grafana.
    pub grafana: String,
}

impl Rendered {
    /// The name and the text of each file.
    #[must_use]
    pub fn files(&self) -> [(&'static str, &str); 6] {
        [
            (MAIN, &self.main),
            (AWS_ONLY, &self.aws_only),
            ("infra/parameters.json", &self.parameters),
            ("infra/docs/settings.md", &self.settings),
            (RESTORE, &self.restore),
            (GRAFANA, &self.grafana),
        ]
    }
}

/// Renders a deployment.
///
/// # Errors
/// Every problem that keeps the declarations from being deployed.
pub fn render(deployment: &Deployment) -> Result<Rendered, Vec<Problem>> {
    let problems = deployment.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    let parameters = parameter::json(&[
        (MAIN, deployment.parameters()),
        (AWS_ONLY, parameters::OF_ALARMS.to_vec()),
        (
            GRADUAL,
            main_template::parameters(deployment, Shift::Gradually),
        ),
    ]);
    Ok(Rendered {
        main: main_template::render(deployment, Shift::AllAtOnce)
            .map_err(|error| problem(MAIN, &error))?,
        restore: restore::render(deployment).map_err(|error| problem(RESTORE, &error))?,
        aws_only: alarms::render(deployment).map_err(|error| problem(AWS_ONLY, &error))?,
        parameters: parameters.map_err(|error| problem("infra/parameters.json", &error))?,
        settings: settings_page::render(deployment),
        grafana: alarms::render_for_grafana(deployment)
            .map_err(|error| problem(GRAFANA, &error))?,
    })
}

/// Renders the variant of `template.yaml` in which CodeDeploy moves the traffic of API functions to their new versions
/// gradually, and back if they fail. Its file's name and its text.
///
/// # Errors
/// As for [`render`].
pub fn render_gradual(deployment: &Deployment) -> Result<(&'static str, String), Vec<Problem>> {
    let problems = deployment.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    main_template::render(deployment, Shift::Gradually)
        .map(|text| (GRADUAL, text))
        .map_err(|error| problem(GRADUAL, &error))
}

fn problem(which: &str, error: &dyn std::error::Error) -> Vec<Problem> {
    vec![Problem {
        declaration: which.to_owned(),
        advice: format!("could not be rendered: {error}"),
    }]
}

/// How the traffic of API functions moves to a new version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shift {
    /// The front calls the newest code.
    AllAtOnce,
    /// The front calls an alias, which CodeDeploy moves.
    Gradually,
}
