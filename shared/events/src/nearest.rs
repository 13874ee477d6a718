//! Known names that a misspelt name may stand for.

use crate::DOMAINS;

/// How many known names are offered at most.
const MOST: usize = 3;

/// From which similarity on a known name is offered: Jaro-Winkler, 0 (nothing in common) to 1 (equal).
const SIMILAR: f64 = 0.85;

/// The known name that is most similar to a misspelt one. `None` if no known name is similar.
pub fn nearest<'a>(misspelt: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    all_nearest(misspelt, known).into_iter().next()
}

/// The end of an error message about an unknown name: `; did you mean loan.funded?`. Empty if no known name is similar.
pub fn did_you_mean<'a>(misspelt: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(misspelt, known).map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

/// The end of an error message about a name that is not one of [`DOMAINS`]. `None` if it is one.
pub fn unknown_domain(name: &str) -> Option<String> {
    let is_unknown = !DOMAINS.contains(&name);
    is_unknown.then(|| did_you_mean(name, DOMAINS.iter().copied()))
}

/// The known names that are similar to a misspelt one, the most similar first.
pub(crate) fn all_nearest<'a>(
    misspelt: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    let misspelt = misspelt.to_lowercase();
    let mut near: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(name, &misspelt), name))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
    near.dedup_by_key(|(_, name)| *name);
    near.into_iter().map(|(_, name)| name).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    #[test]
    fn the_most_similar_name_is_offered_if_one_is_similar() {
        let names = ["cloud", "wallet", "loan", "settlement"];
        assert_eq!(nearest("Walet", names), Some("wallet"));
        assert_eq!(nearest("settlements", names), Some("settlement"));
        assert_eq!(nearest("laon", names), Some("loan"));
        assert_eq!(nearest("inventory", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(did_you_mean("lone", names), "; did you mean loan?");
        assert_eq!(did_you_mean("inventory", names), "");
    }

    #[test]
    fn slips_in_event_types_and_domains_are_seen_through() {
        let types = || {
            let contracts = Registry::shipped_contracts().iter();
            contracts.map(|contract| contract.event_type)
        };
        assert_eq!(nearest("loan.founded", types()), Some("loan.funded"));
        assert_eq!(nearest("cloud.mint", types()), Some("cloud.minted"));
        assert_eq!(nearest("clod", DOMAINS.iter().copied()), Some("cloud"));
        assert_eq!(
            unknown_domain("clod").as_deref(),
            Some("; did you mean cloud?")
        );
        assert_eq!(unknown_domain("cloud"), None);
    }
}
