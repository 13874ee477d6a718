//! The URL of an endpoint.

use std::{fmt, net::IpAddr};

use http::Uri;
use rustls::pki_types::DnsName;
use url::{Host, Url};

use crate::Allowed;

/// The most characters that a URL may have, as it is given and as it is called.
pub const MAX_URL_CHARS: usize = 2_000;

/// The text of every refusal of an address: it says nothing about which networks exist inside.
pub(crate) const NOT_PUBLIC: &str = "the URL must lead to a public address";

/// The last labels of names that only have a meaning inside a network: RFC 6761 and RFC 6762 reserve the first two, and
/// ICANN promised in 2024 never to delegate the third.
const INSIDE: [&str; 3] = ["localhost", "local", "internal"];

/// What a URL must fulfil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The addresses that may be called.
    pub allowed: Allowed,
    /// The ports that may be called.
    pub ports: Vec<u16>,
}

impl Default for Rules {
    /// Public addresses, port 443.
    fn default() -> Self {
        Self {
            allowed: Allowed::public(),
            ports: vec![443],
        }
    }
}

/// The scheme of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// The URL of an endpoint, in the form in which the WHATWG's standard writes it. Every spelling of an IP address is
/// replaced by the usual one.
///
/// The URL can contain a secret, so `Debug` shows only its host. `Display` shows all of it.
#[derive(Clone)]
pub struct Target {
    url: Url,
    uri: Uri,
    scheme: Scheme,
}

/// Why a URL is refused. The texts are for the customer who gave the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// More than [`MAX_URL_CHARS`] characters.
    #[error("the URL must have at most {MAX_URL_CHARS} characters")]
    TooLong,
    /// Not a URL, or a form that programs read in different ways.
    #[error(
        "the URL cannot be read; write it as https://host/path, without spaces and backslashes"
    )]
    Unreadable,
    /// Another scheme than https, or http where it is not accepted.
    #[error("the URL must begin with https://")]
    Scheme,
    /// A user name or password.
    #[error("the URL must not contain a user name or password")]
    UserInfo,
    /// A fragment, which is never sent.
    #[error("the URL must not contain a fragment (#)")]
    Fragment,
    /// No host.
    #[error("the URL must contain a host name")]
    NoHost,
    /// A port that is not among the allowed ones.
    #[error("the URL's port is not allowed")]
    Port,
    /// An address that may not be called, or a name that only has a meaning inside a network.
    #[error("{NOT_PUBLIC}")]
    Address,
}

impl Target {
    /// Reads a URL and checks it. A name is not resolved here: its addresses are checked when the client connects.
    ///
    /// The scheme http is accepted only if networks were added and, for an IP address, only if the address belongs to
    /// them. The client checks the same of all addresses of a name.
    ///
    /// # Errors
    /// [`TargetError`] says what is wrong with the text.
    pub fn parse(text: &str, rules: &Rules) -> Result<Self, TargetError> {
        if text.chars().nth(MAX_URL_CHARS).is_some() {
            return Err(TargetError::TooLong);
        }
        let url = read(text)?;
        let target = Self::of(url)?;
        rules.judge(&target)?;
        Ok(target)
    }

    fn of(url: Url) -> Result<Self, TargetError> {
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err(TargetError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(TargetError::Fragment);
        }
        match url.host() {
            None => return Err(TargetError::NoHost),
            // The standard lets through characters that no host has.
            Some(Host::Domain(name)) if DnsName::try_from(name).is_err() => {
                return Err(TargetError::Unreadable);
            }
            Some(_) => {}
        }
        if url.as_str().len() > MAX_URL_CHARS {
            return Err(TargetError::TooLong);
        }
        let uri: Uri = url.as_str().parse().map_err(|_| TargetError::Unreadable)?;
        // The HTTP client reads the URL again. Both must see the same endpoint.
        let same = uri.scheme_str() == Some(url.scheme())
            && uri.host() == url.host_str()
            && uri.port_u16() == url.port();
        if !same {
            return Err(TargetError::Unreadable);
        }
        Ok(Self { url, uri, scheme })
    }

    /// The whole URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Scheme, host and, if it is not the scheme's own, port.
    #[must_use]
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// The host: a name, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The name that must be resolved; `None` if the host is an address.
    pub(crate) fn name(&self) -> Option<&str> {
        self.url.domain()
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    fn address(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }
}

impl Rules {
    /// Checks what the URL itself says: its port, and its address or name.
    pub(crate) fn judge(&self, target: &Target) -> Result<(), TargetError> {
        let port = target.url.port_or_known_default();
        if !port.is_some_and(|port| self.ports.contains(&port)) {
            return Err(TargetError::Port);
        }
        let address = target.address();
        let refused = match (address, target.name()) {
            (Some(address), _) => !self.allowed.permits(address),
            (None, Some(name)) => !self.allowed.has_additional() && is_inside(name),
            (None, None) => true,
        };
        if refused {
            return Err(TargetError::Address);
        }
        let plain = match address {
            Some(address) => self.allowed.adds(address),
            None => self.allowed.has_additional(),
        };
        if target.scheme == Scheme::Http && !plain {
            return Err(TargetError::Scheme);
        }
        Ok(())
    }
}

/// Reads the text by the WHATWG's standard (<https://url.spec.whatwg.org/>), but refuses what that standard repairs:
/// spaces, control characters, backslashes, and a scheme without slashes.
fn read(text: &str) -> Result<Url, TargetError> {
    let repaired = |char: char| char.is_whitespace() || char.is_control() || char == '\\';
    if text.contains(repaired) {
        return Err(TargetError::Unreadable);
    }
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::EmptyHost => TargetError::NoHost,
        url::ParseError::InvalidPort => TargetError::Port,
        _ => TargetError::Unreadable,
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(TargetError::Scheme);
    }
    match text.get(url.scheme().len()..) {
        Some(rest) if rest.starts_with("://") => Ok(url),
        _ => Err(TargetError::Unreadable),
    }
}

/// Whether a name only has a meaning inside a network. A name without a dot would be completed by the resolver.
fn is_inside(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.rsplit_once('.')
        .is_none_or(|(_, last)| INSIDE.iter().any(|label| last.eq_ignore_ascii_case(label)))
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
    }
}

impl Eq for Target {}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.host()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> TargetError {
        Target::parse(text, &Rules::default()).expect_err(text)
    }

    #[test]
    fn an_https_url_with_a_public_host_is_accepted_in_its_usual_form() {
        for (text, usual) in [
            ("https://example.com", "https://example.com/"),
            (
                "HTTPS://Example.COM:443/a/../b?c=d",
                "https://example.com/b?c=d",
            ),
            (
                "https://b\u{fc}cher.example/",
                "https://xn--bcher-kva.example/",
            ),
            ("https://8.8.2056/hook", "https://8.8.8.8/hook"),
            ("https://[2600:0::1]/", "https://[2600::1]/"),
            ("https://example.com./", "https://example.com./"),
            (
                "https://my_hooks.example.com/",
                "https://my_hooks.example.com/",
            ),
            (
                "https://example.com/a%20b|c^d?e={f}",
                "https://example.com/a%20b|c^d?e={f}",
            ),
        ] {
            let target = Target::parse(text, &Rules::default()).expect(text);
            assert_eq!(target.as_str(), usual);
            assert_eq!(target.to_string(), usual);
        }
    }

    #[test]
    fn a_refusal_says_what_is_wrong_with_the_text() {
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL_CHARS));
        let long_when_encoded = format!("https://example.com/{}", "\u{fc}".repeat(400));
        for (text, error) in [
            (long.as_str(), TargetError::TooLong),
            (&long_when_encoded, TargetError::TooLong),
            ("", TargetError::Unreadable),
            ("example.com/hook", TargetError::Unreadable),
            (" https://example.com/", TargetError::Unreadable),
            ("https://exa\tmple.com/", TargetError::Unreadable),
            ("https:\\\\example.com\\", TargetError::Unreadable),
            ("https:example.com", TargetError::Unreadable),
            ("https://exa'mple.com/", TargetError::Unreadable),
            ("https://[::1/", TargetError::Unreadable),
            ("https://[fe80::1%25eth0]/", TargetError::Unreadable),
            ("https://1.2.3.4.5/", TargetError::Unreadable),
            ("https://256.1.1.1/", TargetError::Unreadable),
            ("ftp://example.com/", TargetError::Scheme),
            ("file:///etc/passwd", TargetError::Scheme),
            ("javascript:alert(1)", TargetError::Scheme),
            ("http://example.com/", TargetError::Port),
            ("http://example.com:443/", TargetError::Scheme),
            ("http://8.8.8.8:443/", TargetError::Scheme),
            ("https://me@example.com/", TargetError::UserInfo),
            ("https://:secret@example.com/", TargetError::UserInfo),
            ("https://example.com/#", TargetError::Fragment),
            ("https://", TargetError::NoHost),
            ("https://?a", TargetError::NoHost),
            ("https://example.com:8443/", TargetError::Port),
            ("https://example.com:0/", TargetError::Port),
            ("https://example.com:99999/", TargetError::Port),
            ("https://10.0.0.1/", TargetError::Address),
            ("https://printer.local/", TargetError::Address),
            ("https://intranet/", TargetError::Address),
        ] {
            assert_eq!(refusal(text), error, "{text}");
        }
    }

    #[test]
    fn http_is_accepted_only_to_added_networks() {
        let rules = Rules {
            allowed: Allowed::public().and(["10.0.0.0/8"]).expect("networks"),
            ports: vec![80, 443],
        };
        let parse = |text| Target::parse(text, &rules).map(|target| target.to_string());
        assert!(parse("http://10.1.2.3/").is_ok());
        assert!(parse("http://hooks.internal/").is_ok());
        assert!(parse("http://hooks/").is_ok());
        assert!(parse("https://10.1.2.3/").is_ok());
        assert_eq!(parse("http://8.8.8.8/"), Err(TargetError::Scheme));
        assert_eq!(parse("http://127.0.0.1/"), Err(TargetError::Address));
        let public = Rules {
            ports: vec![80],
            ..Rules::default()
        };
        let error = Target::parse("http://example.com/", &public).expect_err("refused");
        assert_eq!(error, TargetError::Scheme);
    }

    #[test]
    fn debug_shows_only_the_host() {
        let target = Target::parse("https://example.com/key?token=secret", &Rules::default());
        assert_eq!(
            format!("{:?}", target.expect("a target")),
            r#"Target("example.com")"#
        );
    }
}
