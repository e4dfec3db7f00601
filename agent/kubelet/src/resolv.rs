//! What a pod's /etc/resolv.conf says, by its DNS policy. Pure.

use crate::pod::spec::{DnsPolicy, Pod};
use keelson_proto::cri::DnsConfig;

/// The limits of Kubernetes (and of resolvers) for one file.
const SERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_CHARS_MAX: usize = 2048;

/// The cluster's side of name resolution.
#[derive(Clone, Debug, Default)]
pub struct ClusterDns {
    pub servers: Vec<String>,
    /// `cluster.local`.
    pub domain: String,
}

/// Reads a resolv.conf.
pub fn parse(text: &str) -> DnsConfig {
    let mut config = DnsConfig::default();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or("");
        let mut words = line.split_whitespace();
        let rest: Vec<String> = match words.next() {
            Some("nameserver") => {
                config.servers.extend(words.next().map(str::to_owned));
                continue;
            }
            Some("search" | "domain") => {
                config.searches = words.map(|w| w.trim_end_matches('.').to_owned()).collect();
                continue;
            }
            Some("options") => words.map(str::to_owned).collect(),
            _ => continue,
        };
        config.options = rest;
    }
    config.searches.retain(|s| !s.is_empty());
    config
}

/// The pod's configuration; `host` is what the node itself uses.
pub fn for_pod(pod: &Pod, cluster: &ClusterDns, host: &DnsConfig) -> DnsConfig {
    let use_cluster = match pod.spec.dns_policy {
        DnsPolicy::ClusterFirst => !pod.spec.host_network,
        DnsPolicy::ClusterFirstWithHostNet => true,
        DnsPolicy::Default | DnsPolicy::None => false,
    };
    let mut config = if use_cluster && !cluster.servers.is_empty() {
        let domain = &cluster.domain;
        let own = [format!("{}.svc.{domain}", pod.meta.namespace), format!("svc.{domain}"), domain.clone()];
        let searches = own.into_iter().chain(host.searches.iter().cloned()).collect();
        DnsConfig { servers: cluster.servers.clone(), searches, options: vec!["ndots:5".to_owned()] }
    } else if pod.spec.dns_policy == DnsPolicy::None {
        DnsConfig::default()
    } else {
        host.clone()
    };
    if let Some(more) = &pod.spec.dns_config {
        config.servers.extend(more.nameservers.iter().cloned());
        config.searches.extend(more.searches.iter().cloned());
        for option in &more.options {
            let name = option.name.as_str();
            config.options.retain(|o| o.split(':').next() != Some(name));
            config.options.push(match &option.value {
                Some(value) => format!("{name}:{value}"),
                None => name.to_owned(),
            });
        }
    }
    dedup(&mut config.servers);
    dedup(&mut config.searches);
    config.servers.truncate(SERVERS_MAX);
    config.searches.truncate(SEARCHES_MAX);
    while config.searches.iter().map(|s| s.len() + 1).sum::<usize>() > SEARCH_CHARS_MAX {
        config.searches.pop();
    }
    config
}

fn dedup(list: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|item| seen.insert(item.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(spec: Value, servers: &[&str], searches: &[&str], options: &[&str]) {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"namespace": "n"}, "spec": spec})).unwrap();
        let cluster = ClusterDns { servers: vec!["10.96.0.10".into()], domain: "cluster.local".into() };
        let host = parse("# comment\nnameserver 1.1.1.1\nsearch corp.example.\noptions edns0 trust-ad\n");
        let got = for_pod(&pod, &cluster, &host);
        assert_eq!((got.servers, got.searches, got.options), (own(servers), own(searches), own(options)));
    }

    fn own(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn policies() {
        let cluster = ["n.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example"];
        check(json!({}), &["10.96.0.10"], &cluster, &["ndots:5"]);
        let host = (["1.1.1.1"], ["corp.example"], ["edns0", "trust-ad"]);
        check(json!({"hostNetwork": true}), &host.0, &host.1, &host.2);
        check(json!({"dnsPolicy": "Default"}), &host.0, &host.1, &host.2);
        let with_host = json!({"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"});
        check(with_host, &["10.96.0.10"], &cluster, &["ndots:5"]);
        let none = json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["9.9.9.9"], "searches": ["a.b"],
                          "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}]}});
        check(none, &["9.9.9.9"], &["a.b"], &["ndots:2", "rotate"]);
        let more = json!({"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}});
        check(more, &["10.96.0.10"], &cluster, &["ndots:1"]);
    }
}
