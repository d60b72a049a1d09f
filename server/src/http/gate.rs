//! Who may ask, and what browsers may do with the answer.
//!
//! A page on another site can make a visitor's browser send requests here. Two checks keep it from
//! reading answers even where a hostile name server makes its name point at this machine: the `Host`
//! must be an address or a name that this server is known by, and a request that says where it comes
//! from must come from here.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::error::ApiError;

/// The longest address that is read.
const MAX_URI_BYTES: usize = 16 << 10;

const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; object-src 'none'";

/// A picture runs its own script and nothing else, as a stranger to this server.
const PICTURE_POLICY: &str = "sandbox allow-scripts; default-src 'none'; \
                              script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                              frame-ancestors 'none'";

/// The names that this server answers to: loopback, the address it is bound to, and what
/// `--allowed-host` adds.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts {
    bound: Option<IpAddr>,
    names: Vec<String>,
}

impl AllowedHosts {
    /// Loopback, the address of `bound` (any address where it is bound to all), and `names`.
    #[must_use]
    pub fn new(bound: SocketAddr, names: &[String]) -> Self {
        Self {
            bound: Some(bound.ip()),
            names: names.iter().map(|name| name.to_ascii_lowercase()).collect(),
        }
    }

    /// Whether a host (without port, an IPv6 address without brackets) is one of them.
    fn holds(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if self.names.contains(&host) || host == "localhost" || host.ends_with(".localhost") {
            return true;
        }
        let Ok(address) = host.parse::<IpAddr>() else {
            return false;
        };
        let address = address.to_canonical();
        // Names can be made to point anywhere; an address in `Host` is the address that was asked.
        let any = self.bound.is_some_and(|bound| bound.is_unspecified());
        any || address.is_loopback() || self.bound == Some(address)
    }
}

/// The host of `host[:port]`, without brackets.
fn without_port(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

pub(super) async fn check(State(app): State<Shared>, request: Request, next: Next) -> Response {
    match judge(&app.allowed, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn judge(allowed: &AllowedHosts, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let length = uri.path_and_query().map_or(0, |path| path.as_str().len());
    if length > MAX_URI_BYTES {
        let message = format!("the address has {length} bytes, more than {MAX_URI_BYTES}");
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(ApiError::new(status, "too_large", message, "shorten the selector"));
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = uri.authority().map(axum::http::uri::Authority::as_str).or(host);
    let authority = authority.unwrap_or_default();
    let host = without_port(authority);
    if !allowed.holds(host) {
        let host: String = host.chars().take(100).collect();
        let message = format!("this server does not answer to the name {host:?}");
        let hint = format!("use localhost, or start the server with --allowed-host {host}");
        return Err(ApiError::new(StatusCode::FORBIDDEN, "host_not_allowed", message, hint));
    }
    judge_origin(allowed, authority, headers)
}

fn judge_origin(
    allowed: &AllowedHosts,
    authority: &str,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let from = text("origin");
    let is_own = from.is_none_or(|origin| {
        let origin = origin.split_once("://").map_or("", |(_, origin)| origin);
        let name = without_port(origin).to_ascii_lowercase();
        origin.eq_ignore_ascii_case(authority) || allowed.names.contains(&name)
    });
    // Following a link from elsewhere is fine; a page elsewhere that fetches is not.
    let fetched_elsewhere = text("sec-fetch-site") == Some("cross-site")
        && text("sec-fetch-mode").is_some_and(|mode| mode != "navigate");
    if is_own && !fetched_elsewhere {
        return Ok(());
    }
    let from: String = from.unwrap_or("another site").chars().take(100).collect();
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "origin_not_allowed",
        format!("pages of {from} may not read from this server"),
        "open the server's own address, or start it with --allowed-host and the page's host",
    ))
}

pub(super) async fn add_security_headers(mut response: Response) -> Response {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        let headers = response.headers_mut();
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Lets a picture run its script, cut off from everything that this server has.
pub(super) fn isolate(response: &mut Response) {
    let policy = HeaderValue::from_static(PICTURE_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(bound: &str, names: &[&str]) -> AllowedHosts {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        AllowedHosts::new(bound.parse().unwrap(), &names)
    }

    #[test]
    fn names_that_could_point_anywhere_are_refused() {
        let local = allowed("127.0.0.1:4040", &["Stoker.example.com"]);
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "stoker.example.com",
        ] {
            assert!(local.holds(host), "{host}");
        }
        for host in
            ["", "evil.com", "localhost.evil.com", "10.0.0.7", "127.0.0.1.nip.io", "0.0.0.0"]
        {
            assert!(!local.holds(host), "{host}");
        }
        let all = allowed("0.0.0.0:4040", &[]);
        assert!(all.holds("10.0.0.7") && !all.holds("evil.com"));
        let one = allowed("10.0.0.7:4040", &[]);
        assert!(one.holds("10.0.0.7") && !one.holds("10.0.0.8"));
    }

    #[test]
    fn hosts_are_read_without_their_port() {
        for (text, host) in [
            ("localhost:4040", "localhost"),
            ("[::1]:4040", "::1"),
            ("[::1]", "::1"),
            ("10.0.0.7", "10.0.0.7"),
            ("", ""),
        ] {
            assert_eq!(without_port(text), host);
        }
    }

    #[test]
    fn pages_elsewhere_may_link_but_not_read() {
        let local = allowed("127.0.0.1:4040", &["tools.example.com"]);
        let uri: Uri = "/api/v1/labels".parse().unwrap();
        let answer = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("localhost:4040"));
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            judge(&local, &uri, &headers).map_err(|error| error.code())
        };
        assert_eq!(answer(&[]), Ok(()));
        assert_eq!(answer(&[("origin", "http://localhost:4040")]), Ok(()));
        assert_eq!(answer(&[("origin", "https://tools.example.com")]), Ok(()));
        for origin in ["http://evil.com", "null", "http://localhost:3000", ""] {
            assert_eq!(answer(&[("origin", origin)]), Err("origin_not_allowed"), "{origin}");
        }
        let site = |mode| [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode)];
        assert_eq!(answer(&site("navigate")), Ok(()));
        assert_eq!(answer(&site("no-cors")), Err("origin_not_allowed"));
    }
}
