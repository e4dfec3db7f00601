//! The /etc/hosts that a pod's containers share. Pure.

use crate::pod::spec::{HostAlias, Pod};
use std::fmt::Write;

/// The file's text. `host_file` is the node's own, for pods in its network.
pub fn render(pod: &Pod, ips: &[String], domain: &str, host_file: &str) -> String {
    let mut out = String::new();
    if pod.spec.host_network {
        out.push_str("# Kubernetes-managed hosts file (host network).\n");
        out.push_str(host_file);
    } else {
        out.push_str("# Kubernetes-managed hosts file.\n");
        out.push_str("127.0.0.1\tlocalhost\n");
        out.push_str("::1\tlocalhost ip6-localhost ip6-loopback\n");
        out.push_str("fe00::0\tip6-localnet\n");
        out.push_str("fe00::0\tip6-mcastprefix\n");
        out.push_str("fe00::1\tip6-allnodes\n");
        out.push_str("fe00::2\tip6-allrouters\n");
        for ip in ips {
            let name = pod.hostname();
            // Writing to a String cannot fail.
            let _ = match pod.fqdn(domain) {
                Some(fqdn) => writeln!(out, "{ip}\t{fqdn}\t{name}"),
                None => writeln!(out, "{ip}\t{name}"),
            };
        }
    }
    aliases(&mut out, &pod.spec.host_aliases);
    out
}

fn aliases(out: &mut String, aliases: &[HostAlias]) {
    if aliases.is_empty() {
        return;
    }
    out.push_str("\n# Entries added by HostAliases.\n");
    for alias in aliases {
        let _ = writeln!(out, "{}\t{}", alias.ip, alias.hostnames.join("\t"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_the_pod_and_aliases() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n"},
            "spec": {"subdomain": "sub", "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]}}))
        .unwrap();
        let text = render(&pod, &["10.0.0.1".to_owned()], "cluster.local", "");
        assert!(text.contains("10.0.0.1\tp.sub.n.svc.cluster.local\tp\n"), "{text}");
        assert!(text.ends_with("1.2.3.4\ta\tb\n"), "{text}");
    }

    #[test]
    fn a_name_in_place_of_the_pods_own() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"},
            "spec": {"subdomain": "sub", "hostname": "h", "hostnameOverride": "db.example.org"}}))
        .unwrap();
        let text = render(&pod, &["10.0.0.1".to_owned()], "cluster.local", "");
        assert!(text.ends_with("10.0.0.1\tdb.example.org\n"), "{text}");
    }

    #[test]
    fn host_network_has_the_hosts_file() {
        let pod: Pod = serde_json::from_value(json!({"spec": {"hostNetwork": true}})).unwrap();
        assert_eq!(
            render(&pod, &[], "x", "1.1.1.1 me\n"),
            "# Kubernetes-managed hosts file (host network).\n1.1.1.1 me\n"
        );
    }
}
