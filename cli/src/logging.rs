//! Logs go to stderr, one line per event.

use tracing_subscriber::EnvFilter;

/// Starts logging. A filter that does not parse is said and replaced by `info`.
pub fn start(filter: &str) {
    let parsed = EnvFilter::try_new(filter);
    let unusable = parsed.as_ref().err().map(ToString::to_string);
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_env_filter(parsed.unwrap_or_else(|_| EnvFilter::new("info,openraft=warn")))
        .init();
    if let Some(error) = unusable {
        tracing::warn!(filter, error, "--log does not parse, info is used");
    }
}
