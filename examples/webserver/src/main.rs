//! The sample app's web server. As `backend` it answers every request with a line of JSON that names the pod; as
//! `frontend` it serves a page that asks the backend, by its service name, a few times and shows who answered.
//!
//! Plain HTTP/1.1 on one thread per connection: enough to be looked at, small enough to be read in one go.
#![allow(clippy::print_stdout, reason = "what a container prints is its log")]

mod http;
mod page;

use std::env;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What the pod's manifest tells us.
struct Settings {
    role: String,
    /// `host:port` of the backend's Service; only the frontend asks it.
    backend: String,
    pod: String,
    node: String,
    greeting: String,
    /// The image's own; another tag, another version.
    version: String,
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn main() -> ExitCode {
    let role = env::args().nth(1).unwrap_or_default();
    if !["frontend", "backend"].contains(&role.as_str()) {
        eprintln!(
            "usage: webserver frontend|backend   (PORT, BACKEND, POD, NODE, GREETING in the environment)"
        );
        return ExitCode::from(2);
    }
    let settings = Settings {
        role,
        backend: setting("BACKEND", "backend:80"),
        pod: setting("POD", "unknown"),
        node: setting("NODE", "unknown"),
        greeting: setting("GREETING", "Hello"),
        version: setting("VERSION", "unknown"),
    };
    let address = format!("0.0.0.0:{}", setting("PORT", "8080"));
    let listener = match TcpListener::bind(&address) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("cannot listen on {address}: {error}");
            return ExitCode::FAILURE;
        }
    };
    end_on_sigterm();
    println!("{} on {} listens on {address}", settings.role, settings.pod);
    serve(&listener, &settings);
    println!("ending");
    ExitCode::SUCCESS
}

static ENDING: AtomicBool = AtomicBool::new(false);

extern "C" fn on_sigterm(_: libc::c_int) {
    ENDING.store(true, Ordering::Relaxed);
}

/// A pod's first process has no default action for SIGTERM: without a handler it would run into SIGKILL.
fn end_on_sigterm() {
    // SAFETY: the handler only stores to an atomic; an all-zero sigaction is a valid one without flags, so that
    // a blocking accept is interrupted and not restarted.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_sigterm as *const () as usize;
        libc::sigaction(libc::SIGTERM, &raw const action, std::ptr::null_mut());
    }
}

fn serve(listener: &TcpListener, settings: &Settings) {
    thread::scope(|scope| {
        while !ENDING.load(Ordering::Relaxed) {
            // std retries an interrupted accept by itself; a time limit lets the flag be seen.
            if !http::wait_readable(listener, 200) {
                continue;
            }
            if let Ok((stream, peer)) = listener.accept() {
                scope.spawn(move || {
                    let answer = |path: &str| page::answer(settings, path);
                    match http::serve_one(stream, answer) {
                        Ok(path) => println!("{peer} {path}"),
                        Err(error) => eprintln!("{peer} {error}"),
                    }
                });
            }
        }
    });
}
