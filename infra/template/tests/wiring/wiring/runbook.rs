//! Whether infra/docs/runbook.md has one section for each alarm, and the alarm names that section.
//!
//! A section is a heading of the third level below "## The alarms", and a line `Alarms:` with the names of its alarms without
//! the stack, each with its severity and, where it exists there too, the profile `essential` in parentheses. A name may have
//! placeholders, such as `<lane>-depth-warning`. A name without any outranks one with: the relay's errors are not explained
//! with those of all functions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use events::Priority;
use topology::Deployment;

use super::model::{self, resources};

const DOCUMENT: &str = include_str!("../../../../docs/runbook.md");
const BEGIN: &str = "\n## The alarms\n";
/// What a section must say.
const PARTS: [&str; 3] = ["**Means**", "**Look**", "**Do**"];

/// A rendered alarm, as far as the runbook speaks of it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Alarm {
    description: String,
    severity: &'static str,
    is_essential: bool,
}

/// The rendered alarms, by name without the stack.
type Alarms = BTreeMap<String, Alarm>;

static ALARMS: LazyLock<Alarms> = LazyLock::new(|| alarms(&Deployment::whole()));

fn alarms(deployment: &Deployment) -> Alarms {
    let rendered = template::render(deployment).unwrap();
    let aws_only = model::template("infra/aws-only.yaml", &rendered.aws_only);
    resources(&aws_only, "AWS::CloudWatch::Alarm")
        .map(|(id, alarm)| {
            let name = alarm["AlarmName"]["Fn::Sub"]
                .as_str()
                .and_then(|name| name.strip_prefix("${MillraceStack}-"))
                .unwrap_or_else(|| panic!("{id} has a name without the stack"));
            let description = alarm["AlarmDescription"].as_str().unwrap_or_default();
            let is_critical = alarm["AlarmActions"]["Fn::If"][0] == "HasCriticalTopic";
            let alarm = Alarm {
                description: description.trim().to_owned(),
                severity: if is_critical { "critical" } else { "warning" },
                is_essential: aws_only["Resources"][id]["Condition"] == "RaisesEssential",
            };
            (name.to_owned(), alarm)
        })
        .collect()
}

struct Section<'a> {
    heading: &'a str,
    /// Each name, and the words in parentheses behind it.
    names: Vec<(&'a str, &'a str)>,
    text: &'a str,
}

fn sections(document: &str) -> Vec<Section<'_>> {
    let alarms = document
        .split_once(BEGIN)
        .map_or("", |(_, rest)| rest)
        .split("\n## ")
        .next()
        .unwrap_or_default();
    alarms
        .split("\n### ")
        .skip(1)
        .map(|section| {
            let (heading, text) = section.split_once('\n').unwrap_or((section, ""));
            let names = text
                .lines()
                .find_map(|line| line.strip_prefix("Alarms: "))
                .unwrap_or_default();
            Section {
                heading: heading.trim(),
                // What stands in backticks, and what stands between.
                names: names
                    .split('`')
                    .skip(1)
                    .step_by(2)
                    .zip(names.split('`').skip(2).step_by(2))
                    .collect(),
                text,
            }
        })
        .collect()
}

/// The names of alarms that a name with placeholders may stand for.
fn meant(name: &str, deployment: &Deployment) -> BTreeSet<String> {
    let functions = deployment.functions();
    let names = |is_meant: fn(&topology::Function) -> bool| -> Vec<String> {
        let all = functions.iter().filter(|one| is_meant(one));
        all.map(|one| one.name.to_owned()).collect()
    };
    let domains = deployment.contracts().iter();
    let placeholders: [(&str, Vec<String>); 6] = [
        (
            "<lane>",
            deployment
                .lanes()
                .iter()
                .map(|(_, lane)| lane.queue())
                .collect(),
        ),
        ("<consumer>", names(|one| one.consumer().is_some())),
        ("<job>", names(|one| one.job().is_some())),
        ("<function>", names(|one| one.job().is_none())),
        (
            "<domain>",
            domains
                .filter_map(|one| one.event_type.split('.').next())
                .map(str::to_owned)
                .collect(),
        ),
        (
            "<priority>",
            [Priority::Critical, Priority::High, Priority::Normal]
                .map(|one| one.as_str().to_owned())
                .into(),
        ),
    ];
    let mut meant = BTreeSet::from([name.to_owned()]);
    for (placeholder, values) in placeholders {
        if name.contains(placeholder) {
            meant = meant
                .iter()
                .flat_map(|one| values.iter().map(|value| one.replace(placeholder, value)))
                .collect();
        }
    }
    meant
}

fn findings(document: &str, alarms: &Alarms, deployment: &Deployment) -> Vec<String> {
    let mut findings = Vec::new();
    let sections = sections(document);
    // Each alarm's sections: by its own name, else by a name with placeholders.
    let mut explained: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for is_pattern in [false, true] {
        let before: BTreeSet<&str> = explained.keys().copied().collect();
        for section in &sections {
            for (name, words) in &section.names {
                if name.contains('<') != is_pattern {
                    continue;
                }
                let meant = meant(name, deployment);
                let of_name: Vec<&str> = alarms
                    .keys()
                    .map(String::as_str)
                    .filter(|alarm| meant.contains(*alarm) && !before.contains(alarm))
                    .collect();
                if of_name.is_empty() {
                    findings.push(format!(
                        "{}: there is no alarm {name}: remove it",
                        section.heading
                    ));
                }
                for alarm in of_name {
                    explained.entry(alarm).or_default().push(section.heading);
                    let Alarm {
                        severity,
                        is_essential,
                        ..
                    } = &alarms[alarm];
                    if !words.contains(severity) || words.contains("essential") != *is_essential {
                        findings.push(format!(
                            "{alarm}: is {severity}, and essential or not: {is_essential}. {} says{words}",
                            section.heading
                        ));
                    }
                }
            }
        }
    }
    for (alarm, Alarm { description, .. }) in alarms {
        match explained.get(alarm.as_str()).map(Vec::as_slice) {
            None => findings.push(format!("{alarm}: no section is about it: write one")),
            Some([heading]) => {
                if !description.ends_with(&format!(" Runbook: {heading}")) {
                    findings.push(format!(
                        "{alarm}: is explained in {heading}, and its description names another section"
                    ));
                }
            }
            Some(several) => findings.push(format!("{alarm}: is explained in {several:?}")),
        }
    }
    for section in &sections {
        let is_anchor = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-';
        // So that the heading is the anchor.
        if section.heading.is_empty() || !section.heading.chars().all(is_anchor) {
            findings.push(format!(
                "{}: write the heading in lower case with hyphens",
                section.heading
            ));
        }
        if section.names.is_empty() {
            findings.push(format!("{}: has no line `Alarms:`", section.heading));
        }
        for part in PARTS.iter().filter(|part| !section.text.contains(**part)) {
            findings.push(format!("{}: has no {part}", section.heading));
        }
    }
    findings
}

#[test]
fn the_runbook_has_one_section_for_each_alarm() {
    let findings = findings(DOCUMENT, &ALARMS, &Deployment::whole());
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// The spine has fewer alarms: a section may then be about none.
#[test]
fn the_alarms_of_the_spine_are_in_the_runbook_too() {
    let spine = Deployment::of([]).unwrap();
    let findings = findings(DOCUMENT, &alarms(&spine), &spine);
    let wrong: Vec<&String> = findings
        .iter()
        .filter(|one| !one.contains("there is no alarm"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_broken_runbook_is_found() {
    let broken = |wanted: &str, document: &str, alarms: &Alarms| {
        assert_ne!((document, alarms), (DOCUMENT, &*ALARMS), "{wanted}");
        let findings = findings(document, alarms, &Deployment::whole());
        assert!(
            findings.iter().any(|one| one.contains(wanted)),
            "{wanted}: {findings:?}"
        );
    };
    let changed = |from: &str, to: &str| DOCUMENT.replacen(from, to, 1);
    broken(
        "parked: no section is about it",
        &changed("\nAlarms: `parked`", "\nAlarms: `dead-letters-undrained`"),
        &ALARMS,
    );
    broken(
        "parked: is explained in",
        &changed("Alarms: `api-5xx`", "Alarms: `api-5xx`, `parked`"),
        &ALARMS,
    );
    broken(
        "there is no alarm api-4xx",
        &changed("Alarms: `api-5xx`", "Alarms: `api-5xx`, `api-4xx`"),
        &ALARMS,
    );
    broken(
        "there is no alarm <lane>-empty",
        &changed("`<lane>-stuck`", "`<lane>-stuck`, `<lane>-empty`"),
        &ALARMS,
    );
    broken(
        "names another section",
        &changed("\n### lane-stuck\n", "\n### lane-stands-still\n"),
        &ALARMS,
    );
    broken(
        "write the heading",
        &changed("\n### lane-stuck\n", "\n### Lane stuck\n"),
        &ALARMS,
    );
    broken(
        "lane-stuck: has no line `Alarms:`",
        &changed("Alarms: `<lane>-stuck`", "`<lane>-stuck`"),
        &ALARMS,
    );
    broken("has no **Do**", &changed("**Do**", "**Act**"), &ALARMS);
    broken(
        "api-5xx: is warning",
        &changed("`api-5xx` (warning", "`api-5xx` (critical"),
        &ALARMS,
    );
    broken(
        "api-5xx: is warning, and essential",
        &changed("`api-5xx` (warning, essential)", "`api-5xx` (warning)"),
        &ALARMS,
    );
    let mut more = ALARMS.clone();
    let mut alarm = ALARMS["api-5xx"].clone();
    more.insert("new-thing".to_owned(), alarm.clone());
    broken(
        "new-thing: no section is about it",
        &format!("{DOCUMENT}\n"),
        &more,
    );
    let mut other = ALARMS.clone();
    alarm.description = "It broke. Runbook: parked".to_owned();
    other.insert("api-5xx".to_owned(), alarm);
    broken("api-5xx: is explained in api-5xx,", DOCUMENT, &other);
}

/// So that the test above says something: a document without its alarms explains none.
#[test]
fn a_runbook_without_sections_explains_nothing() {
    let findings = findings("# Runbook\n", &ALARMS, &Deployment::whole());
    assert_eq!(findings.len(), ALARMS.len());
}
