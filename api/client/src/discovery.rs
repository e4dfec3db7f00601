//! Which resources a server serves, from the discovery documents every Kubernetes server has.

use crate::client::Client;
use crate::error::Result;
use keelson_api::resource::Resource;
use parking_lot::Mutex;
use serde::Deserialize;
use std::collections::BTreeSet;

/// One served resource at its group's preferred version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    pub resource: Resource,
    pub verbs: Vec<String>,
}

impl Served {
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }
}

/// A `&'static str` for a name that is only known at run time. Each distinct name is kept for ever, so this is
/// for the names of groups, versions and kinds, whose number is bounded by what the cluster ever served.
pub fn intern(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock();
    if let Some(known) = names.get(name) {
        return known;
    }
    let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(kept);
    kept
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Group {
    preferred_version: GroupVersion,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct GroupVersion {
    group_version: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resources {
    resources: Vec<Entry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    name: String,
    kind: String,
    namespaced: bool,
    verbs: Vec<String>,
}

/// Reads `/api/v1` and each group's preferred version. A group whose document cannot be read fails the whole:
/// a caller that deletes by this list must not take a gap for an absence.
pub(crate) async fn discover(client: &Client) -> Result<Vec<Served>> {
    let mut served = Vec::new();
    let core: Resources = client.get_json("/api/v1").await?;
    collect("", "v1", core, &mut served);
    let groups: Groups = client.get_json("/apis").await?;
    for group in groups.groups {
        let group_version = group.preferred_version.group_version;
        let Some((name, version)) = group_version.split_once('/') else { continue };
        let resources: Resources = client.get_json(&format!("/apis/{group_version}")).await?;
        collect(name, version, resources, &mut served);
    }
    Ok(served)
}

fn collect(group: &str, version: &str, resources: Resources, served: &mut Vec<Served>) {
    for entry in resources.resources.into_iter().filter(|e| !e.name.contains('/')) {
        let resource = Resource {
            group: intern(group),
            version: intern(version),
            plural: intern(&entry.name),
            kind: intern(&entry.kind),
            namespaced: entry.namespaced,
        };
        served.push(Served { resource, verbs: entry.verbs });
    }
}
