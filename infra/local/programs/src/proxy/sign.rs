//! Signs a call again after the proxy changed its body: the caller's signature no longer matches. It uses the
//! credentials of whoever runs the service.

use std::time::SystemTime;

use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue},
    http::request,
};

use crate::BoxError;

/// The headers that make up a signature, besides the headers it covers.
const OF_THE_SIGNATURE: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amz-content-sha256"),
];
/// The headers that are covered besides the host: they determine the operation of a call.
const COVERED: [HeaderName; 2] = [CONTENT_TYPE, HeaderName::from_static("x-amz-target")];

/// The headers of a call with another body. An unsigned call stays unsigned.
///
/// # Errors
/// When the headers cannot be signed.
pub(super) fn signed_anew(
    parts: &request::Parts,
    bytes: &[u8],
    credentials: &Credentials,
) -> Result<HeaderMap, BoxError> {
    let mut headers = parts.headers.clone();
    let Some((region, service)) = scope(&headers) else {
        return Ok(headers);
    };
    for name in OF_THE_SIGNATURE {
        headers.remove(name);
    }
    let host = text(&headers, &HOST).ok_or("a signed call without a host")?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("http://{host}{path}");
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name(&service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let named = COVERED;
    let covered = named
        .iter()
        .filter_map(|name| Some((name.as_str(), text(&headers, name)?)));
    let covered: Vec<(&str, &str)> = covered.collect();
    let signable = SignableRequest::new(
        parts.method.as_str(),
        &url,
        covered.into_iter(),
        SignableBody::Bytes(bytes),
    )?;
    let (instructions, _) = sign(signable, &parameters)?.into_parts();
    let made: Vec<(String, String)> = instructions
        .headers()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in made {
        let name = HeaderName::try_from(name)?;
        headers.insert(name, HeaderValue::try_from(value)?);
    }
    Ok(headers)
}

/// The region and the service of a signature.
fn scope(headers: &HeaderMap) -> Option<(String, String)> {
    let (_, credential) = text(headers, &AUTHORIZATION)?.split_once("Credential=")?;
    let mut parts = credential.split(',').next()?.split('/').skip(2);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
