//! The program behind `make template`: writes both templates and the files that describe their parameters.
//!
//! Usage: `template [--gradually] FOLDER [DOMAIN…]`. Without a domain, all domains are rendered; with `none`, only the
//! spine. With `--gradually` it writes only the variant with gradual deployments, `FOLDER/template-gradual.yaml`.

use std::{env, fs, path::Path, process::ExitCode};

use topology::{Deployment, Problem};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1).peekable();
    let gradually = arguments.next_if_eq("--gradually").is_some();
    let Some(folder) = arguments.next() else {
        eprintln!("template [--gradually] FOLDER [DOMAIN…]");
        return ExitCode::from(2);
    };
    let domains: Vec<String> = arguments.collect();
    match write(Path::new(&folder), &domains, gradually) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path, domains: &[String], gradually: bool) -> Result<(), Vec<Problem>> {
    let names: Vec<&str> = domains.iter().map(String::as_str).collect();
    let deployment = match names.as_slice() {
        [] => Deployment::whole(),
        ["none"] => Deployment::of([])?,
        _ => Deployment::of(names)?,
    };
    if gradually {
        let (file, text) = template::render_gradual(&deployment)?;
        return put(folder, &[(file, &text)]);
    }
    put(folder, &template::render(&deployment)?.files())
}

fn put(folder: &Path, files: &[(&str, &str)]) -> Result<(), Vec<Problem>> {
    for (file, text) in files {
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
