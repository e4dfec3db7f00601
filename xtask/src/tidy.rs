//! House rules that a machine can check: dependency directions, the 'nevers' of the crates, the code map, sizes
//! and leftovers. Part of the tests and of `cargo xtask verify`.

mod addresses;
mod floors;
mod sources;

use anyhow::Result;
use std::path::Path;

/// All that is wrong in the tree at `root`, one line each; empty when it is tidy.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let mut findings = floors::check(root)?;
    findings.extend(sources::check(root)?);
    Ok(findings)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_tidy() {
        let findings = super::check(&crate::repo::root()).unwrap();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }
}
