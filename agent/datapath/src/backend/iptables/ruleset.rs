//! Chains by table, and the shortest iptables-restore text from one set of them to another. Pure.
//!
//! A restore without flush leaves alone what it does not name, and empties what it declares: only chains whose
//! content differs are declared. The kernel takes each table whole or not at all.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Chains with their rules, one per line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table(BTreeMap<String, String>);

/// The chains of ours in every table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset(BTreeMap<String, Table>);

impl Table {
    /// Makes a chain, without rules so far.
    pub fn chain(&mut self, name: &str) {
        self.0.entry(name.to_owned()).or_default();
    }

    /// Makes a chain, if it is not there; whether it was not.
    pub fn is_new(&mut self, name: &str) -> bool {
        let is_new = !self.0.contains_key(name);
        self.chain(name);
        is_new
    }

    /// Appends a rule to a chain.
    pub fn rule(&mut self, chain: &str, rule: std::fmt::Arguments<'_>) {
        let rules = self.0.entry(chain.to_owned()).or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(rules, "-A {chain} {rule}");
    }
}

impl Ruleset {
    /// A table, made when it is not there.
    pub fn table(&mut self, name: &str) -> &mut Table {
        self.0.entry(name.to_owned()).or_default()
    }

    /// Chains that are in the kernel with a content that is not known.
    pub fn unknown(table: &str, chains: impl IntoIterator<Item = String>) -> Self {
        // No chain that is rendered has this content, so each is written anew or deleted.
        let chains = chains.into_iter().map(|name| (name, "?".to_owned())).collect();
        Self(BTreeMap::from([(table.to_owned(), Table(chains))]))
    }

    /// The same chains, as if nothing were known of their content.
    pub fn forgotten(&self) -> Self {
        let forget =
            |table: &Table| Table(table.0.keys().map(|name| (name.clone(), "?".to_owned())).collect());
        Self(self.0.iter().map(|(name, table)| (name.clone(), forget(table))).collect())
    }

    /// The text that leads from here to `wanted`; empty when there is nothing to do.
    pub fn restore(&self, wanted: &Self) -> String {
        let mut text = String::new();
        let none = Table::default();
        let names = self.0.keys().chain(wanted.0.keys().filter(|name| !self.0.contains_key(*name)));
        for name in names {
            let (is, should) = (self.0.get(name).unwrap_or(&none), wanted.0.get(name).unwrap_or(&none));
            let changed = should.0.iter().filter(|(chain, rules)| is.0.get(*chain) != Some(rules));
            let gone = is.0.keys().filter(|chain| !should.0.contains_key(*chain));
            if changed.clone().next().is_none() && gone.clone().next().is_none() {
                continue;
            }
            let declared = changed.clone().map(|(chain, _)| chain).chain(gone.clone());
            let lines = std::iter::once(format!("*{name}\n"))
                .chain(declared.map(|chain| format!(":{chain} - [0:0]\n")))
                .chain(changed.map(|(_, rules)| rules.clone()))
                .chain(gone.map(|chain| format!("-X {chain}\n")))
                .chain(std::iter::once("COMMIT\n".to_owned()));
            text.extend(lines);
        }
        text
    }
}
