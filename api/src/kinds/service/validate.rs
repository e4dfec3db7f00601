//! The rules of services.

use super::allocation::{is_headless, needs_health_check_node_port};
use super::prepare::is_external;
use crate::field::{FieldError, FieldErrors, Path};
use crate::meta;
use crate::names;
use crate::validation::value::{at, dig, has, int, list, text, texts};
use crate::validation::{check, go_value, network};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const MODE: &str = "service.kubernetes.io/topology-mode";
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
/// The longest time that a client sticks to an endpoint, in seconds: a day.
const AFFINITY_MAX: i64 = 86_400;

/// Checks a service beyond its metadata, in Kubernetes' order.
pub(super) fn service(object: &Value, errors: &mut FieldErrors) {
    let (spec, path) = (at(object, "spec"), Path::new("spec"));
    if let (Some(mode), Some(hints)) = (meta::annotation(object, MODE), meta::annotation(object, HINTS))
        && mode != hints
    {
        let path = Path::new("metadata").child("annotations").key(MODE);
        let why = format!("must match annotations[{HINTS}] when both are specified");
        errors.push(FieldError::invalid(&path, mode, why));
    }
    let kind = text(spec, "type");
    let ports = list(spec, "ports");
    if ports.is_empty() && !is_headless(object) && kind != "ExternalName" {
        errors.push(FieldError::required(&path.child("ports"), ""));
    }
    by_type(object, &path, errors);
    let mut names = BTreeSet::new();
    for (index, one) in ports.iter().enumerate() {
        port(one, ports.len() > 1, &mut names, &path.child("ports").index(index), errors);
    }
    if let Some(labels) = at(spec, "selector").as_object() {
        meta::validate_labels(errors, &path.child("selector"), labels);
    }
    affinity(spec, &path, errors);
    cluster_ips(object, &path, errors);
    for (index, ip) in texts(spec, "externalIPs").into_iter().enumerate() {
        let path = path.child("externalIPs").index(index);
        if network::ip(ip, &path, errors).is_some() {
            network::not_special(ip, &path, errors);
        }
    }
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    check::required_one_of(spec, "type", &types, &path, errors);
    port_conflicts(spec, &path.child("ports"), errors);
    source_ranges(object, errors);
    load_balancer(spec, &path, errors);
    traffic(spec, &path, errors);
}

/// What each type forbids and demands.
fn by_type(object: &Value, path: &Path, errors: &mut FieldErrors) {
    let spec = at(object, "spec");
    match text(spec, "type") {
        kind @ ("LoadBalancer" | "NodePort") if is_headless(object) => {
            let why = format!("may not be set to 'None' for {kind} services");
            errors.push(FieldError::invalid(&path.child("clusterIPs").index(0), "None", why));
        }
        "ExternalName" => {
            for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if has(spec, field) && at(spec, field).as_array().is_none_or(|list| !list.is_empty()) {
                    let why = "may not be set for ExternalName services";
                    errors.push(FieldError::forbidden(&path.child(field), why));
                }
            }
            let name = text(spec, "externalName");
            // A trailing dot says that the name is complete.
            match name.strip_suffix('.').unwrap_or(name) {
                "" => errors.push(FieldError::required(&path.child("externalName"), "")),
                name => {
                    check::each(names::dns1123_subdomain(name), name, &path.child("externalName"), errors)
                }
            }
        }
        _ => {}
    }
}

fn port<'a>(
    port: &'a Value,
    needs_name: bool,
    names: &mut BTreeSet<&'a str>,
    path: &Path,
    errors: &mut FieldErrors,
) {
    let name = text(port, "name");
    if !name.is_empty() {
        check::each(names::dns1123_label(name), name, &path.child("name"), errors);
        if !names.insert(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
    } else if needs_name {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    network::port(int(port, "port").unwrap_or_default(), &path.child("port"), errors);
    network::protocol(text(port, "protocol"), &path.child("protocol"), errors);
    network::port_or_name(at(port, "targetPort"), &path.child("targetPort"), errors);
    if has(port, "appProtocol") {
        let protocol = text(port, "appProtocol");
        check::each(names::qualified_name(protocol), protocol, &path.child("appProtocol"), errors);
    }
}

fn affinity(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    check::required_one_of(spec, "sessionAffinity", &["ClientIP", "None"], path, errors);
    let path = path.child("sessionAffinityConfig");
    match text(spec, "sessionAffinity") {
        "ClientIP" => {
            let seconds = dig(spec, &["sessionAffinityConfig", "clientIP", "timeoutSeconds"]);
            let path = path.child("clientIP").child("timeoutSeconds");
            match seconds.as_i64() {
                None => errors.push(FieldError::required(&path, "when session affinity type is ClientIP")),
                Some(seconds) if !(1..=AFFINITY_MAX).contains(&seconds) => {
                    let why = format!("must be greater than 0 and less than {AFFINITY_MAX}");
                    errors.push(FieldError::invalid(&path, seconds, why));
                }
                Some(_) => {}
            }
        }
        "None" if has(spec, "sessionAffinityConfig") => {
            let why = "must not be set when session affinity is None";
            errors.push(FieldError::forbidden(&path, why));
        }
        _ => {}
    }
}

/// `clusterIP`, `clusterIPs` and the families, which must tell the same story.
fn cluster_ips(object: &Value, path: &Path, errors: &mut FieldErrors) {
    let spec = at(object, "spec");
    if text(spec, "type") == "ExternalName" {
        return;
    }
    let at_ips = path.child("clusterIPs");
    let (first, ips) = (text(spec, "clusterIP"), texts(spec, "clusterIPs"));
    match ips.first() {
        None if !first.is_empty() => errors.push(FieldError::required(&at_ips, "")),
        Some(_) if first.is_empty() => {
            let why = "must be empty when `clusterIP` is not specified";
            errors.push(FieldError::invalid(&at_ips, json!(ips), why));
        }
        Some(ip) if *ip != first => {
            errors.push(FieldError::invalid(&at_ips, json!(ips), "first value must match `clusterIP`"));
        }
        _ => {}
    }
    let families = texts(spec, "ipFamilies");
    for (index, family) in families.iter().enumerate() {
        let path = path.child("ipFamilies").index(index);
        check::one_of(family, &["IPv4", "IPv6"], &path, errors);
        if families[..index].contains(family) {
            errors.push(FieldError::duplicate(&path, *family));
        }
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    check::optional_one_of(spec, "ipFamilyPolicy", &policies, path, errors);
    let mut invalid = false;
    for (index, ip) in ips.iter().enumerate() {
        if index == 0 && *ip == "None" {
            if ips.len() > 1 {
                invalid = true;
                let why = "'None' must be the first and only value";
                errors.push(FieldError::invalid(&at_ips, json!(ips), why));
            }
        } else {
            invalid |= network::ip(ip, &at_ips.index(index), errors).is_none();
        }
    }
    if ips.len() > 2 {
        errors.push(FieldError::invalid(&at_ips, json!(ips), "may only hold up to 2 values"));
    }
    if invalid {
        return;
    }
    if ips.len() > 1 && !network::is_dual_stack(&ips) {
        let why = "may specify no more than one IP for each IP family";
        errors.push(FieldError::invalid(&at_ips, json!(ips), why));
    }
    if !is_headless(object) {
        for (index, (ip, family)) in ips.iter().zip(&families).enumerate() {
            let is_v4 = network::parse_ip(ip).is_some_and(|ip| ip.is_ipv4());
            if is_v4 != (*family == "IPv4") {
                let why = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
                errors.push(FieldError::invalid(&at_ips.index(index), *ip, why));
            }
        }
    }
}

/// Node ports and ports that two entries claim.
fn port_conflicts(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    let ports = list(spec, "ports");
    let node_port = |port: &Value| int(port, "nodePort").filter(|port| *port != 0);
    if text(spec, "type") == "ClusterIP" {
        for (index, _) in ports.iter().enumerate().filter(|(_, port)| node_port(port).is_some()) {
            let why = "may not be used when `type` is 'ClusterIP'";
            errors.push(FieldError::forbidden(&path.index(index).child("nodePort"), why));
        }
    }
    let mut taken = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        if let Some(number) = node_port(port)
            && !taken.insert((text(port, "protocol"), number))
        {
            errors.push(FieldError::duplicate(&path.index(index).child("nodePort"), number));
        }
    }
    taken.clear();
    for (index, port) in ports.iter().enumerate() {
        let (protocol, number) = (text(port, "protocol"), int(port, "port").unwrap_or_default());
        if !taken.insert((protocol, number)) {
            let key = json!({"protocol": protocol, "port": number});
            let mut error = FieldError::duplicate(&path.index(index), Value::Null);
            error.shown = Some(go_value::compact("ServicePort", &key));
            errors.push(error);
        }
    }
}

fn source_ranges(object: &Value, errors: &mut FieldErrors) {
    let spec = at(object, "spec");
    let ranges = texts(spec, "loadBalancerSourceRanges");
    let balancer = text(spec, "type") == "LoadBalancer";
    let why = "may only be used when `type` is 'LoadBalancer'";
    if !ranges.is_empty() {
        // The capital letter is part of the path that clients know.
        let path = Path::new("spec").child("LoadBalancerSourceRanges");
        if !balancer {
            errors.push(FieldError::forbidden(&path, why));
        }
        for (index, range) in ranges.into_iter().enumerate() {
            network::cidr(range.trim(), &path.index(index), errors);
        }
    } else if let Some(ranges) = meta::annotation(object, SOURCE_RANGES) {
        let path = Path::new("metadata").child("annotations").key(SOURCE_RANGES);
        if !balancer {
            errors.push(FieldError::forbidden(&path, why));
        }
        for range in ranges.trim().split(',').filter(|range| !range.is_empty()) {
            network::cidr(range.trim(), &path, errors);
        }
    }
}

fn load_balancer(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    let why = "may only be used when `type` is 'LoadBalancer'";
    let balancer = text(spec, "type") == "LoadBalancer";
    match (balancer, has(spec, "allocateLoadBalancerNodePorts")) {
        (false, true) => {
            errors.push(FieldError::forbidden(&path.child("allocateLoadBalancerNodePorts"), why))
        }
        (true, false) => {
            errors.push(FieldError::required(&Path::new("allocateLoadBalancerNodePorts"), ""));
        }
        _ => {}
    }
    if has(spec, "loadBalancerClass") {
        let class = text(spec, "loadBalancerClass");
        let path = path.child("loadBalancerClass");
        if balancer {
            check::each(names::qualified_name(class), class, &path, errors);
        } else {
            errors.push(FieldError::forbidden(&path, why));
        }
    }
}

/// The policies of traffic, and the port of health checks that one of them needs.
fn traffic(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    let policies = ["Cluster", "Local"];
    if is_external(spec) {
        check::required_one_of(spec, "externalTrafficPolicy", &policies, path, errors);
    } else if !text(spec, "externalTrafficPolicy").is_empty() {
        let why = "may only be set for externally-accessible services";
        let path = path.child("externalTrafficPolicy");
        errors.push(FieldError::invalid(&path, text(spec, "externalTrafficPolicy"), why));
    }
    let at_port = path.child("healthCheckNodePort");
    // Where it is needed and 0, it is allocated after validation.
    match int(spec, "healthCheckNodePort").unwrap_or_default() {
        0 => {}
        number if needs_health_check_node_port(spec) => network::port(number, &at_port, errors),
        number => {
            let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.push(FieldError::invalid(&at_port, number, why));
        }
    }
    check::optional_one_of(spec, "internalTrafficPolicy", &policies, path, errors);
    let distributions = ["PreferClose", "PreferSameNode", "PreferSameZone"];
    check::optional_one_of(spec, "trafficDistribution", &distributions, path, errors);
}

/// Checks what an update may not change.
pub(super) fn update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let (spec, was) = (at(new, "spec"), at(old, "spec"));
    let path = Path::new("spec");
    if text(spec, "type") != "ExternalName" && text(was, "type") != "ExternalName" {
        let (headless, was_headless) = (is_headless(new), is_headless(old));
        if !(headless && was_headless) {
            kept(spec, was, "clusterIPs", "primary clusterIP can not be unset", &path, errors);
        }
        if !headless && !was_headless {
            kept(spec, was, "ipFamilies", "primary ipFamily can not be unset", &path, errors);
        }
    }
    let balancers = text(spec, "type") == "LoadBalancer" && text(was, "type") == "LoadBalancer";
    if balancers && at(spec, "loadBalancerClass") != at(was, "loadBalancerClass") {
        let class = at(spec, "loadBalancerClass").clone();
        errors.push(FieldError::invalid(&path.child("loadBalancerClass"), class, "may not change once set"));
    }
    if needs_health_check_node_port(spec)
        && needs_health_check_node_port(was)
        && int(spec, "healthCheckNodePort") != int(was, "healthCheckNodePort")
    {
        errors.push(FieldError::forbidden(&path.child("healthCheckNodePort"), "field is immutable"));
    }
}

/// The first of the list stays; a second may come and, to a single stack, go.
fn kept(spec: &Value, was: &Value, field: &str, unset: &str, path: &Path, errors: &mut FieldErrors) {
    let (new, old) = (texts(spec, field), texts(was, field));
    let shown = if new.is_empty() { Value::Null } else { json!(new) };
    let mut refuse = |index: usize, why: &str| {
        errors.push(FieldError::invalid(&path.child(field).index(index), shown.clone(), why));
    };
    if old.len() == new.len() {
        for index in (0..old.len()).filter(|index| old[*index] != new[*index]) {
            refuse(if field == "clusterIPs" { index } else { 0 }, "may not change once set");
        }
        return;
    }
    if new.is_empty() {
        refuse(0, unset);
    } else if !old.is_empty() && new[0] != old[0] {
        refuse(0, "may not change once set");
    }
    let policy = at(spec, "ipFamilyPolicy");
    if old.len() > new.len() && new.len() == 1 && policy.as_str() != Some("SingleStack") {
        let what = if field == "clusterIPs" { "clusterIP" } else { "ipFamily" };
        let why = format!("must be set to 'SingleStack' when releasing the secondary {what}");
        errors.push(FieldError::invalid(&path.child("ipFamilyPolicy"), policy.clone(), why));
    }
}

/// Checks an update of the status.
pub(super) fn status(object: &Value, errors: &mut FieldErrors) {
    let path = Path::new("status").child("loadBalancer").child("ingress");
    let ingress = list(dig(object, &["status", "loadBalancer"]), "ingress");
    if !ingress.is_empty() && text(at(object, "spec"), "type") != "LoadBalancer" {
        errors.push(FieldError::forbidden(&path, "may only be used when `spec.type` is 'LoadBalancer'"));
        return;
    }
    for (index, ingress) in ingress.iter().enumerate() {
        let path = path.index(index);
        let (ip, host) = (text(ingress, "ip"), text(ingress, "hostname"));
        if !ip.is_empty() {
            network::ip(ip, &path.child("ip"), errors);
        }
        match (has(ingress, "ipMode"), ip.is_empty()) {
            (true, true) => {
                let why = "may not be specified when `ip` is not set";
                errors.push(FieldError::forbidden(&path.child("ipMode"), why));
            }
            _ => check::optional_one_of(ingress, "ipMode", &["Proxy", "VIP"], &path, errors),
        }
        if !host.is_empty() {
            let path = path.child("hostname");
            check::each(names::dns1123_subdomain(host), host, &path, errors);
            if network::parse_ip(host).is_some() {
                errors.push(FieldError::invalid(&path, host, "must be a DNS name, not an IP address"));
            }
        }
    }
}
