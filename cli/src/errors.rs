//! How an error is said to a user.

use anyhow::Error;

/// The error and its causes in one line. A message that already holds what the next cause says, as most of ours do,
/// is not followed by it again.
pub fn in_one_line(error: &Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let said = cause.to_string();
        if line.contains(&said) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&said);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use keelson_agent::config::AgentConfig;
    use std::io;
    use std::path::Path;

    #[test]
    fn no_cause_is_said_twice() {
        let error = Error::from(AgentConfig::load(Path::new("/nonexistent")).unwrap_err());
        assert_eq!(in_one_line(&error), "cannot read /nonexistent: No such file or directory (os error 2)");
        let bare = Err::<(), _>(io::Error::other("no room")).context("cannot write a").unwrap_err();
        assert_eq!(in_one_line(&bare), "cannot write a: no room");
        assert_eq!(in_one_line(&bare.context("cannot start")), "cannot start: cannot write a: no room");
    }
}
