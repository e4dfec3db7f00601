//! Rules on the text of sources: the 'nevers' that show in it, sizes, leftovers.

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
    never("agent/datapath/src/", "Ipv4Addr", &ADDRESSES, "addresses are 128 bit outside parse and rewrite"),
    never("ebpf/abi/src/", "Ipv4Addr", &[], "addresses are 128 bit in the abi"),
    never("", concat!("TO", "DO"), &[], "finish it or say it in the issue"),
    never("", concat!("FIX", "ME"), &[], "finish it or say it in the issue"),
    never("", concat!("#[ig", "nore"), &[], "a test runs or is not there"),
];

/// Where 32-bit addresses are parsed, rewritten or handed to the kernel.
const ADDRESSES: [&str; 3] =
    ["agent/datapath/src/backend/", "agent/datapath/src/netlink/", "agent/datapath/src/parse"];

/// No source may be longer; tests move to a file of their own, code is split by idea.
const LINES_MAX: usize = 1000;

pub fn check(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in tracked(root)? {
        let Ok(text) = fs::read_to_string(root.join(&file)) else { continue };
        if is_generated(&file) {
            continue;
        }
        findings.extend(size(&file, &text));
        findings.extend(nevers(&file, &text));
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

fn nevers<'a>(file: &'a str, text: &'a str) -> impl Iterator<Item = String> + 'a {
    // What a test does to check a rule is not held against the rule.
    let code = text.split("#[cfg(test)]\nmod").next().unwrap_or(text);
    let is_test = file.contains("/tests") || file.starts_with("tests/");
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

    #[test]
    fn finds_what_must_not_be() {
        let found = |file, text| nevers(file, text).count();
        assert_eq!(found("api/src/a.rs", "let x = std::fs::read(p);"), 1);
        assert_eq!(found("api/client/src/a.rs", "let x = std::fs::read(p);"), 0);
        assert_eq!(found("agent/datapath/src/model/a.rs", "use std::net::Ipv4Addr;"), 1);
        assert_eq!(found("agent/datapath/src/netlink/a.rs", "use std::net::Ipv4Addr;"), 0);
        assert_eq!(found("dns/src/a.rs", concat!("// TO", "DO: later")), 1);
        assert_eq!(found("api/src/a.rs", "#[cfg(test)]\nmod tests { use std::fs; }"), 0);
        assert!(size("a.rs", &"x\n".repeat(1001)).is_some());
        assert!(size("a.rs", &"x\n".repeat(1000)).is_none());
    }
}
