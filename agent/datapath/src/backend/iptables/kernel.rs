//! The commands: run as they are found on the PATH, with one text each.

use super::rules::{CHAINS, JUMPS, SERVICE_CHAIN};
use super::{IptablesError, Ruleset};
use std::collections::BTreeSet;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const RESTORE: &str = "iptables-restore";
const IPTABLES: &str = "iptables";

/// Writes rules: all of the text or nothing. Waits for whoever else is writing.
pub async fn restore(text: &str) -> Result<(), IptablesError> {
    let mut child = Command::new(RESTORE)
        .args(["--wait", "--noflush"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| IptablesError::Run { command: RESTORE, source })?;
    if let Some(mut input) = child.stdin.take() {
        // A command that has died says why on its standard error.
        let _ = input.write_all(text.as_bytes()).await;
    }
    let output = child.wait_with_output().await;
    finish(RESTORE, output.map_err(|source| IptablesError::Run { command: RESTORE, source })?).map(drop)
}

/// Makes the jumps from built-in chains, each once, in order and before other rules.
pub async fn add_jumps() -> Result<(), IptablesError> {
    // What is put first last stands first.
    for (table, from, to) in JUMPS.iter().rev() {
        if iptables(&["-t", table, "-C", from, "-j", to]).await.is_err() {
            iptables(&["-t", table, "-I", from, "-j", to]).await?;
        }
    }
    Ok(())
}

/// Removes jumps and chains. What is gone already is fine.
pub async fn remove(stale: &BTreeSet<String>) -> Result<(), IptablesError> {
    let left = Ruleset::unknown("nat", stale.iter().cloned());
    restore(&left.restore(&super::rules::empty())).await?;
    for (table, from, to) in JUMPS {
        let _ = iptables(&["-t", table, "-D", from, "-j", to]).await;
    }
    for (table, name) in CHAINS {
        iptables(&["-t", table, "-X", name]).await?;
    }
    Ok(())
}

/// The chains of services that an earlier agent has left.
pub async fn service_chains() -> Result<BTreeSet<String>, IptablesError> {
    let listed = iptables(&["-t", "nat", "-S"]).await?;
    let names = listed.lines().filter_map(|line| line.strip_prefix("-N "));
    Ok(names.filter(|name| name.starts_with(SERVICE_CHAIN)).map(str::to_owned).collect())
}

async fn iptables(arguments: &[&str]) -> Result<String, IptablesError> {
    let run = |source| IptablesError::Run { command: IPTABLES, source };
    let output = Command::new(IPTABLES).arg("--wait").args(arguments).output().await.map_err(run)?;
    finish(IPTABLES, output)
}

fn finish(command: &'static str, output: std::process::Output) -> Result<String, IptablesError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(IptablesError::Command { command, message })
}
