//! `template.yaml` and `infra/aws-only.yaml`, rendered from the declared topology. Text in, text out; `make template` writes it,
//! a test compares what is checked in.

mod alarms;
mod main_template;
mod role;
mod settings;
mod yaml;

use topology::{Deployment, Problem};

/// Both templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// `template.yaml`.
    pub main: String,
    /// `infra/aws-only.yaml`.
    pub aws_only: String,
}

/// Renders a deployment.
///
/// # Errors
/// What keeps the declarations from being deployed, all of it.
pub fn render(deployment: &Deployment) -> Result<Rendered, Vec<Problem>> {
    let problems = deployment.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    let problem = |which: &str, error: askama::Error| {
        vec![Problem {
            declaration: which.to_owned(),
            advice: format!("could not be rendered: {error}"),
        }]
    };
    Ok(Rendered {
        main: main_template::render(deployment).map_err(|error| problem("template.yaml", error))?,
        aws_only: alarms::render(deployment)
            .map_err(|error| problem("infra/aws-only.yaml", error))?,
    })
}
