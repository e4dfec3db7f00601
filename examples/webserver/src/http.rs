//! As much HTTP/1.1 as the sample app needs: one GET per connection, both ways. Bounded in size and time.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

const HEAD_BYTES_MAX: usize = 8 * 1024;
const BODY_BYTES_MAX: u64 = 64 * 1024;
const TIMEOUT: Duration = Duration::from_secs(5);

/// An answer: status line without the protocol, content type, body.
pub struct Answer {
    pub status: &'static str,
    pub content_type: &'static str,
    pub body: String,
}

/// Whether a connection arrives within `timeout_ms`.
pub fn wait_readable(listener: &TcpListener, timeout_ms: i32) -> bool {
    let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd that lives through the call.
    unsafe { libc::poll(&raw mut poll, 1, timeout_ms) > 0 }
}

/// Reads one request, writes the answer, and returns the path that was asked for.
pub fn serve_one(mut stream: TcpStream, answer: impl Fn(&str) -> Answer) -> io::Result<String> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let head = read_head(&mut stream)?;
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or("/").to_owned());
    let answer = if ["GET", "HEAD"].contains(&method) {
        answer(&path)
    } else {
        Answer { status: "405 Method Not Allowed", content_type: "text/plain", body: "GET only\n".to_owned() }
    };
    let body = if method == "HEAD" { "" } else { &answer.body };
    write!(
        stream,
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        answer.status,
        answer.content_type,
        answer.body.len(),
    )?;
    Ok(path)
}

/// Asks `authority` (`host:port`) for `/` and returns the body of a 200.
pub fn get(authority: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET / HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.take(BODY_BYTES_MAX).read_to_string(&mut text)?;
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(io::Error::other("the answer is not a 200")),
    }
}

fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        let count = stream.read(&mut chunk)?;
        if count == 0 || head.len() + count > HEAD_BYTES_MAX {
            return Err(io::Error::other("no whole request head"));
        }
        head.extend_from_slice(&chunk[..count]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
