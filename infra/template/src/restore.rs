//! Renders `infra/restore.yaml`: the tables alone, with which CloudFormation imports restored ones into a new stack.

use askama::Template;
use topology::{Deployment, parameters};

use crate::{parameter, table::TableText};

#[derive(Template)]
#[template(path = "restore.yaml", escape = "none")]
struct Restore {
    parameters: Vec<parameter::Text>,
    tables: Vec<TableText>,
}

pub(crate) fn render(deployment: &Deployment) -> Result<String, askama::Error> {
    let text = Restore {
        parameters: parameter::texts(&[&parameters::RESTORED_TABLES]),
        tables: deployment.tables().into_iter().map(TableText::of).collect(),
    }
    .render()?;
    Ok(text + "\n")
}
