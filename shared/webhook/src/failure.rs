//! Why no answer came, in words that say nothing about addresses.

use std::{error::Error as StdError, io, iter};

use rustls::{CertificateError, Error as TlsError};

use crate::{Answer, ResolveError};

type Link<'a> = &'a (dyn StdError + 'static);

/// The answer for a failed exchange. Only fixed texts are used: messages of the system and of the libraries can contain
/// addresses, and a certificate can contain any text.
pub(crate) fn of(error: Link<'_>) -> Answer {
    links(error)
        .find_map(known)
        .unwrap_or_else(|| failed("the request failed"))
}

fn links(error: Link<'_>) -> impl Iterator<Item = Link<'_>> {
    iter::successors(Some(error), |link| cause(*link))
}

/// An `io::Error` passes over the error that it wraps, so that one is taken from it.
fn cause(link: Link<'_>) -> Option<Link<'_>> {
    let wrapped = link
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match wrapped {
        Some(wrapped) => Some(wrapped),
        None => link.source(),
    }
}

fn known(link: Link<'_>) -> Option<Answer> {
    if let Some(error) = link.downcast_ref::<ResolveError>() {
        return Some(match error {
            ResolveError::Refused => Answer::Refused,
            ResolveError::NotFound => Answer::Failed(error.to_string()),
        });
    }
    if let Some(error) = link.downcast_ref::<TlsError>() {
        return Some(failed(of_tls(error)));
    }
    if let Some(error) = link.downcast_ref::<io::Error>() {
        return of_io(error.kind());
    }
    let error = link.downcast_ref::<hyper::Error>()?;
    if error.is_parse() {
        return Some(failed("the answer is not HTTP"));
    }
    error.is_incomplete_message().then(|| failed(CLOSED))
}

const CLOSED: &str = "the connection was closed before the answer was complete";

fn of_io(kind: io::ErrorKind) -> Option<Answer> {
    Some(match kind {
        io::ErrorKind::TimedOut => Answer::TimedOut,
        io::ErrorKind::ConnectionRefused => failed("the connection was refused"),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => failed(CLOSED),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            failed("the host cannot be reached")
        }
        _ => return None,
    })
}

fn of_tls(error: &TlsError) -> &'static str {
    let TlsError::InvalidCertificate(certificate) = error else {
        return "TLS: the handshake failed";
    };
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "TLS: the certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "TLS: the certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "TLS: the certificate is for another host"
        }
        CertificateError::UnknownIssuer => "TLS: the certificate is from an unknown authority",
        _ => "TLS: the certificate is not valid",
    }
}

fn failed(reason: &str) -> Answer {
    Answer::Failed(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_error_is_found() {
        let expired = TlsError::InvalidCertificate(CertificateError::Expired);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, expired));
        assert_eq!(of(&wrapped), failed("TLS: the certificate has expired"));
        let refused = io::Error::other(ResolveError::Refused);
        assert_eq!(of(&refused), Answer::Refused);
        let late = io::Error::from(io::ErrorKind::TimedOut);
        assert_eq!(of(&late), Answer::TimedOut);
    }

    #[test]
    fn an_unknown_error_shows_nothing_of_its_text() {
        let error = io::Error::other("10.0.0.7:443 says no");
        assert_eq!(of(&error), failed("the request failed"));
    }
}
