//! Rules on the text of sources: the 'nevers' that show in it, sizes, leftovers.

use super::addresses;
use crate::run::output;
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Text that must not stand in sources below a folder, and why. `except` folders are where it belongs.
struct Never {
    below: &'static str,
    text: &'static str,
    except: &'static [&'static str],
    why: &'static str,
}

const fn never(
    below: &'static str,
    text: &'static str,
    except: &'static [&'static str],
    why: &'static str,
) -> Never {
    Never { below, text, except, why }
}

const NEVERS: &[Never] = &[
    never("api/src/", "std::fs", &[], "keelson-api does no IO"),
    never("api/src/", "std::net::Tcp", &[], "keelson-api does no IO"),
    never("api/src/", "std::thread", &[], "keelson-api starts no thread"),
    never("api/src/", "SystemTime::now", &[], "keelson-api reads no clock"),
    never("api/src/", "Instant::now", &[], "keelson-api reads no clock"),
    never(
        "",
        "jiff::Timestamp::now",
        &["control/", "agent/", "dns/", "xtask/", "tests/", "cli/"],
        "clocks are read at the edge",
    ),
    never("", concat!("unbounded", "_channel"), &[], "channels are bounded"),
    never(
        "agent/datapath/src/",
        "aya::",
        &["agent/datapath/src/backend/"],
        "the kernel is called in backend/ only",
    ),
    never("", concat!("TO", "DO"), &[], "finish it or say it in the issue"),
    never("", concat!("FIX", "ME"), &[], "finish it or say it in the issue"),
    never("", concat!("#[ig", "nore"), &[], "a test runs or is not there"),
];

/// No source may be longer; tests move to a file of their own, code is split by idea.
const LINES_MAX: usize = 600;

pub fn check(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in tracked(root)? {
        let Ok(text) = fs::read_to_string(root.join(&file)) else { continue };
        if is_generated(&file) {
            continue;
        }
        findings.extend(size(&file, &text));
        findings.extend(nevers(&file, &text));
        if !is_test(&file) {
            findings.extend(addresses::check(&file, without_tests(&text)));
        }
    }
    Ok(findings)
}

fn tracked(root: &Path) -> Result<Vec<String>> {
    let list = output(Command::new("git").current_dir(root).args(["ls-files", "*.rs"]))?;
    Ok(list.lines().map(str::to_owned).collect())
}

fn is_generated(file: &str) -> bool {
    file.contains("/generated") || file.contains("/gen/")
}

fn size(file: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES_MAX).then(|| format!("{file}: {lines} lines, at most {LINES_MAX}: split it by idea"))
}

/// What a test does to check a rule is not held against the rule.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod").next().unwrap_or(text)
}

fn is_test(file: &str) -> bool {
    file.contains("/tests") || file.starts_with("tests/") || file.ends_with("_tests.rs")
}

fn nevers<'a>(file: &'a str, text: &'a str) -> impl Iterator<Item = String> + 'a {
    let (code, is_test) = (without_tests(text), is_test(file));
    NEVERS
        .iter()
        .filter(move |n| file.starts_with(n.below) && !n.except.iter().any(|e| file.starts_with(e)))
        .filter(move |n| !is_test || n.below.is_empty())
        .filter(|n| code.contains(n.text))
        .map(move |n| format!("{file}: {:?} must not stand here: {}", n.text, n.why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, text: &str, count: usize) {
        let found: Vec<_> = nevers(file, text).collect();
        assert_eq!(found.len(), count, "{file}: {text}: {found:?}");
    }

    /// Every rule finds what it forbids where it holds, and nothing where it does not.
    #[test]
    fn finds_what_must_not_be() {
        for never in NEVERS {
            let below = if never.below.is_empty() { "proto/src/" } else { never.below };
            let text = format!("let x = {};", never.text);
            check(&format!("{below}a.rs"), &text, 1);
            check(&format!("{below}a.rs"), &format!("#[cfg(test)]\nmod tests {{ {text} }}"), 0);
            for except in never.except {
                check(&format!("{except}a.rs"), &text, 0);
            }
        }
        check("api/client/src/a.rs", "let x = std::fs::read(p);", 0);
        check("api/src/kinds/tests.rs", "let x = std::fs::read(p);", 0);
        check("api/src/kinds/tests.rs", concat!("// TO", "DO: later"), 1);
    }

    #[test]
    fn finds_what_is_too_long() {
        assert!(size("a.rs", &"x\n".repeat(LINES_MAX + 1)).is_some());
        assert!(size("a.rs", &"x\n".repeat(LINES_MAX)).is_none());
        assert!(is_generated("proto/src/cri/generated.rs") && !is_generated("proto/src/cri/mod.rs"));
    }
}
