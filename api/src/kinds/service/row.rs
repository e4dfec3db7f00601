//! The row of a service in its Table form.

use super::super::row;
use crate::validation::value::{at, dig, int, list, text, texts};
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) fn cells(object: &Value, now: i64) -> Vec<Value> {
    let spec = at(object, "spec");
    vec![
        row::name(object),
        text(spec, "type").into(),
        row::or_none(texts(spec, "clusterIPs").first().copied().unwrap_or_default()),
        external(object).into(),
        row::or_none(&ports(spec)),
        row::age(object, now),
        row::labels(object, &["spec", "selector"]).into(),
    ]
}

fn external(object: &Value) -> String {
    let spec = at(object, "spec");
    let mut addresses = texts(spec, "externalIPs").into_iter().map(str::to_owned).collect::<Vec<_>>();
    match text(spec, "type") {
        "ClusterIP" | "NodePort" if addresses.is_empty() => row::NONE.to_owned(),
        "ClusterIP" | "NodePort" => addresses.join(","),
        "LoadBalancer" => {
            let ingress = list(dig(object, &["status", "loadBalancer"]), "ingress").iter();
            let balancers = ingress.map(|ingress| match text(ingress, "ip") {
                "" => text(ingress, "hostname").to_owned(),
                ip => ip.to_owned(),
            });
            let mut all = balancers
                .filter(|address| !address.is_empty())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect::<Vec<_>>();
            all.append(&mut addresses);
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        "ExternalName" => text(spec, "externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn ports(spec: &Value) -> String {
    let ports = list(spec, "ports").iter().map(|port| {
        let number = int(port, "port").unwrap_or_default();
        let protocol = text(port, "protocol");
        match int(port, "nodePort") {
            Some(node_port) if node_port > 0 => format!("{number}:{node_port}/{protocol}"),
            _ => format!("{number}/{protocol}"),
        }
    });
    ports.collect::<Vec<_>>().join(",")
}
