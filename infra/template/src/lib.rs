//! Renders `template.yaml` and `infra/aws-only.yaml` from the declared topology. From both it also makes
//! `infra/parameters.json`, with which values are checked before anything is built, and `infra/docs/settings.md`. This
//! crate only makes text: `make template` writes the files, and a test compares the checked-in files with it.

mod alarms;
mod main_template;
mod parameter;
mod reach;
mod role;
mod settings;
mod settings_page;
mod yaml;

use topology::{Deployment, Problem, parameters};

/// `template.yaml`, relative to the folder that `make template` writes to.
const MAIN: &str = "template.yaml";
/// `infra/aws-only.yaml`.
const AWS_ONLY: &str = "infra/aws-only.yaml";

/// Both templates, and the files that describe their parameters.
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
}

impl Rendered {
    /// The name and the text of each file.
    #[must_use]
    pub fn files(&self) -> [(&'static str, &str); 4] {
        [
            (MAIN, &self.main),
            (AWS_ONLY, &self.aws_only),
            ("infra/parameters.json", &self.parameters),
            ("infra/docs/settings.md", &self.settings),
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
    let problem = |which: &str, error: &dyn std::error::Error| {
        vec![Problem {
            declaration: which.to_owned(),
            advice: format!("could not be rendered: {error}"),
        }]
    };
    let parameters = parameter::json(&[
        (MAIN, deployment.parameters()),
        (AWS_ONLY, parameters::OF_ALARMS.to_vec()),
    ]);
    Ok(Rendered {
        main: main_template::render(deployment).map_err(|error| problem(MAIN, &error))?,
        aws_only: alarms::render(deployment).map_err(|error| problem(AWS_ONLY, &error))?,
        parameters: parameters.map_err(|error| problem("infra/parameters.json", &error))?,
        settings: settings_page::render(deployment),
    })
}
