//! What a pod's spec gets for what it leaves out, in pods and in templates.

use super::pod_level;
use super::value::{at, default_empty_to, default_to, flag, list_mut, object_mut, set, text};
use crate::quantity::Quantity;
use serde_json::{Value, json};

/// Mode of the files of a volume: 0644.
const FILE_MODE: i64 = 0o644;
/// Life of a projected service account token, in seconds.
const TOKEN_SECONDS: i64 = 3600;

/// The defaults of a pod's spec, wherever it stands.
pub fn spec(spec: &mut Value) {
    default_empty_to(spec, "dnsPolicy", "ClusterFirst");
    default_empty_to(spec, "restartPolicy", "Always");
    default_to(spec, "securityContext", json!({}));
    default_to(spec, "terminationGracePeriodSeconds", 30);
    default_empty_to(spec, "schedulerName", "default-scheduler");
    service_account(spec);
    for volume in list_mut(spec, "volumes") {
        self::volume(volume);
    }
    for field in ["initContainers", "containers"] {
        for container in list_mut(spec, field) {
            self::container(container);
        }
    }
    if let Some(overhead) = spec.get_mut("overhead") {
        round_up(overhead);
    }
    if let Some(whole) = spec.get_mut("resources") {
        round_up_both(whole);
    }
}

/// The defaults of pods that templates do not get.
pub fn of_a_pod(spec: &mut Value) {
    default_to(spec, "enableServiceLinks", true);
    // A negative grace period has always been taken as the shortest.
    if at(spec, "terminationGracePeriodSeconds").as_i64().is_some_and(|seconds| seconds < 0) {
        set(spec, "terminationGracePeriodSeconds", 1);
    }
    let host_network = flag(spec, "hostNetwork");
    for field in ["initContainers", "containers"] {
        for container in list_mut(spec, field) {
            if let Some(resources) = container.get_mut("resources") {
                requests_from_limits(resources);
            }
            if host_network {
                for port in list_mut(container, "ports") {
                    let number = at(port, "containerPort").clone();
                    default_empty_to(port, "hostPort", number);
                }
            }
        }
    }
    pod_level::fill_in(spec);
}

/// What a template's metadata and spec get; both are always written.
pub fn template(template: &mut Value) {
    object_mut(template, "metadata");
    if let Some(spec) = object_mut(template, "spec") {
        self::spec(spec);
    }
}

/// `serviceAccount` is the older name of `serviceAccountName`; both are written.
fn service_account(spec: &mut Value) {
    if text(spec, "serviceAccountName").is_empty() {
        let old = text(spec, "serviceAccount").to_owned();
        if !old.is_empty() {
            set(spec, "serviceAccountName", old);
        }
    } else {
        let name = text(spec, "serviceAccountName").to_owned();
        set(spec, "serviceAccount", name);
    }
}

fn requests_from_limits(resources: &mut Value) {
    let limits = at(resources, "limits").as_object().cloned().unwrap_or_default();
    if limits.is_empty() {
        return;
    }
    if let Some(requests) = object_mut(resources, "requests") {
        for (name, limit) in limits {
            default_to(requests, &name, limit);
        }
    }
}

fn container(container: &mut Value) {
    if text(container, "imagePullPolicy").is_empty() {
        let policy = pull_policy(text(container, "image"));
        set(container, "imagePullPolicy", policy);
    }
    default_empty_to(container, "terminationMessagePath", "/dev/termination-log");
    default_empty_to(container, "terminationMessagePolicy", "File");
    if let Some(resources) = object_mut(container, "resources") {
        round_up_both(resources);
    }
    for port in list_mut(container, "ports") {
        default_empty_to(port, "protocol", "TCP");
    }
    for variable in list_mut(container, "env") {
        if let Some(source) = variable.get_mut("valueFrom") {
            field_ref(source);
            if let Some(key) = source.get_mut("fileKeyRef") {
                default_to(key, "optional", false);
            }
            divisor(source);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(name).filter(|probe| probe.is_object()) {
            self::probe(probe);
        }
    }
    for name in ["postStart", "preStop"] {
        if let Some(handler) = container.get_mut("lifecycle").and_then(|lifecycle| lifecycle.get_mut(name)) {
            http_get(handler);
        }
    }
}

/// `Always` for images that are or may be tagged `latest`; what is no image name counts as tagged otherwise.
pub fn pull_policy(image: &str) -> &'static str {
    let name = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    };
    // A first part with a dot or a port is a host, whose letters may be of either case.
    let repository = match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
        _ => name,
    };
    let allowed =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'/');
    let valid = !repository.is_empty() && repository.bytes().all(allowed);
    let tag = &image[name.len()..];
    if valid && matches!(tag, "" | ":latest") { "Always" } else { "IfNotPresent" }
}

fn probe(probe: &mut Value) {
    default_empty_to(probe, "timeoutSeconds", 1);
    default_empty_to(probe, "periodSeconds", 10);
    default_empty_to(probe, "successThreshold", 1);
    default_empty_to(probe, "failureThreshold", 3);
    http_get(probe);
    if let Some(grpc) = probe.get_mut("grpc").filter(|grpc| grpc.is_object()) {
        default_to(grpc, "service", "");
    }
}

fn http_get(handler: &mut Value) {
    if let Some(get) = handler.get_mut("httpGet").filter(|get| get.is_object()) {
        default_empty_to(get, "path", "/");
        default_empty_to(get, "scheme", "HTTP");
    }
}

fn field_ref(source: &mut Value) {
    if let Some(field) = source.get_mut("fieldRef").filter(|field| field.is_object()) {
        default_empty_to(field, "apiVersion", "v1");
    }
}

/// The divisor of a resource reference is always written; "0" stands for none.
fn divisor(source: &mut Value) {
    if let Some(field) = source.get_mut("resourceFieldRef").filter(|field| field.is_object()) {
        default_empty_to(field, "divisor", "0");
    }
}

fn volume(volume: &mut Value) {
    let without_source = volume
        .as_object()
        .is_some_and(|fields| fields.iter().all(|(key, value)| key == "name" || value.is_null()));
    if without_source {
        set(volume, "emptyDir", json!({}));
    }
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = volume.get_mut(kind).filter(|source| source.is_object()) {
            default_to(source, "defaultMode", FILE_MODE);
        }
    }
    if let Some(source) = volume.get_mut("hostPath").filter(|source| source.is_object()) {
        default_to(source, "type", "");
    }
    if let Some(source) = volume.get_mut("iscsi").filter(|source| source.is_object()) {
        default_empty_to(source, "iscsiInterface", "default");
    }
    if let Some(source) = volume.get_mut("image").filter(|source| source.is_object())
        && text(source, "pullPolicy").is_empty()
    {
        let policy = pull_policy(text(source, "reference"));
        set(source, "pullPolicy", policy);
    }
    if let Some(source) = volume.get_mut("ephemeral")
        && let Some(spec) = source.pointer_mut("/volumeClaimTemplate/spec")
    {
        default_to(spec, "volumeMode", "Filesystem");
    }
    if let Some(source) = volume.get_mut("downwardAPI") {
        for item in list_mut(source, "items") {
            field_ref(item);
            divisor(item);
        }
    }
    if let Some(projected) = volume.get_mut("projected") {
        for source in list_mut(projected, "sources") {
            if let Some(token) = source.get_mut("serviceAccountToken").filter(|token| token.is_object()) {
                default_to(token, "expirationSeconds", TOKEN_SECONDS);
            }
            if let Some(downward) = source.get_mut("downwardAPI") {
                for item in list_mut(downward, "items") {
                    field_ref(item);
                    divisor(item);
                }
            }
        }
    }
}

fn round_up_both(resources: &mut Value) {
    for field in ["limits", "requests"] {
        if let Some(list) = resources.get_mut(field) {
            round_up(list);
        }
    }
}

/// Quantities are kept to the thousandth, rounded up.
fn round_up(resources: &mut Value) {
    let Some(resources) = resources.as_object_mut() else { return };
    for value in resources.values_mut() {
        if let Some(quantity) = value.as_str().and_then(|text| Quantity::parse(text).ok()) {
            let milli = Quantity::milli(quantity.milli_value());
            if milli > quantity {
                *value = Value::from(milli.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_policies() {
        for (image, want) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.27", "IfNotPresent"),
            ("host:5000/nginx", "Always"),
            ("host:5000/nginx:1", "IfNotPresent"),
            ("nginx@sha256:0000", "IfNotPresent"),
            ("nginx:latest@sha256:0000", "IfNotPresent"),
            ("", "IfNotPresent"),
            ("Nginx", "IfNotPresent"),
            ("Host:5000/nginx", "Always"),
            ("a b", "IfNotPresent"),
            ("localhost/nginx:latest", "Always"),
        ] {
            assert_eq!(pull_policy(image), want, "{image}");
        }
    }

    #[test]
    fn defaulting_twice_changes_nothing() {
        let mut once = json!({
            "containers": [{"name": "c", "image": "i", "livenessProbe": {"httpGet": {"port": 80}},
                "resources": {"limits": {"cpu": "1"}}, "ports": [{"containerPort": 80}]}],
            "hostNetwork": true, "serviceAccount": "a",
            "volumes": [{"name": "v"}, {"name": "h", "hostPath": {"path": "/"}}],
        });
        spec(&mut once);
        of_a_pod(&mut once);
        let mut twice = once.clone();
        spec(&mut twice);
        of_a_pod(&mut twice);
        assert_eq!(once["serviceAccountName"], "a");
        assert_eq!(once["containers"][0]["ports"][0]["hostPort"], 80);
        assert_eq!(once["containers"][0]["resources"]["requests"]["cpu"], "1");
        assert_eq!(once["volumes"][0]["emptyDir"], json!({}));
        assert_eq!(once, twice);
    }
}
