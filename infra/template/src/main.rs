//! The program behind `make template`: writes both templates and the files that describe their parameters.
//!
//! Usage: `template FOLDER [DOMAIN…]`. Without a domain, all domains are rendered; with `none`, only the spine.

use std::{env, fs, path::Path, process::ExitCode};

use topology::{Deployment, Problem};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let Some(folder) = arguments.next() else {
        eprintln!("template FOLDER [DOMAIN…]");
        return ExitCode::from(2);
    };
    let domains: Vec<String> = arguments.collect();
    match write(Path::new(&folder), &domains) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path, domains: &[String]) -> Result<(), Vec<Problem>> {
    let names: Vec<&str> = domains.iter().map(String::as_str).collect();
    let deployment = match names.as_slice() {
        [] => Deployment::whole(),
        ["none"] => Deployment::of([])?,
        _ => Deployment::of(names)?,
    };
    let rendered = template::render(&deployment)?;
    for (file, text) in rendered.files() {
        let path = folder.join(file);
        let done = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, text));
        if let Err(error) = done {
            return Err(vec![Problem {
                declaration: path.display().to_string(),
                advice: format!("cannot be written: {error}"),
            }]);
        }
    }
    Ok(())
}
