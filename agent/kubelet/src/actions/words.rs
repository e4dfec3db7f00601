//! Network errors in the words that Kubernetes' users and tools know from events: those of Go. Pure.

use nix::errno::Errno;
use std::error::Error;
use std::io;

/// `connection refused`, `no route to host` ...
fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => Errno::from_raw(code).desc().to_lowercase(),
        None => error.to_string(),
    }
}

/// A connection that could not be made.
pub(super) fn dial(address: &str, error: &io::Error) -> String {
    // A name that is not known has no number: the system call was never made.
    if error.raw_os_error().is_none() {
        return format!("dial tcp: {}", reason(error));
    }
    format!("dial tcp {address}: connect: {}", reason(error))
}

/// A connection that did not come in time.
pub(super) fn dial_timeout(address: &str) -> String {
    format!("dial tcp {address}: i/o timeout")
}

/// An exchange that broke off. The cause lies at the end of the chain.
pub(super) fn exchange(error: &(dyn Error + 'static)) -> String {
    if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message) {
        return "EOF".to_owned();
    }
    match cause(error) {
        Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
        Some(error) if error.raw_os_error().is_some() => format!("read: {}", reason(error)),
        _ => error.to_string(),
    }
}

/// The system's error behind another one.
pub(super) fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    let mut last = None;
    while let Some(error) = next {
        last = error.downcast_ref::<io::Error>().or(last);
        next = error.source();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_words() {
        let os = io::Error::from_raw_os_error;
        let check = |got: String, expect: &str| assert_eq!(got, expect);
        check(
            dial("10.0.0.1:80", &os(libc::ECONNREFUSED)),
            "dial tcp 10.0.0.1:80: connect: connection refused",
        );
        check(
            dial("10.0.0.1:80", &os(libc::EHOSTUNREACH)),
            "dial tcp 10.0.0.1:80: connect: no route to host",
        );
        check(
            dial("web:80", &io::Error::other("lookup web: no such host")),
            "dial tcp: lookup web: no such host",
        );
        check(dial_timeout("[fd00::1]:80"), "dial tcp [fd00::1]:80: i/o timeout");
        check(exchange(&os(libc::ECONNRESET)), "read: connection reset by peer");
        check(exchange(&io::Error::from(io::ErrorKind::UnexpectedEof)), "EOF");
    }
}
