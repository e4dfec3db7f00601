//! Rules of pods that the recorded facts do not reach.

use super::value::set;
use super::{pod_defaults, pod_spec};
use crate::field::FieldErrors;
use serde_json::{Value, json};

/// A valid pod with the fields of `change` merged into its spec, after defaulting.
fn pod(change: Value) -> Value {
    let mut spec = json!({
        "containers": [{"name": "c", "image": "i"}], "serviceAccountName": "default",
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "claim", "persistentVolumeClaim": {"claimName": "x"}}],
    });
    for (field, value) in change.as_object().into_iter().flatten() {
        set(&mut spec, field, value.clone());
    }
    pod_defaults::spec(&mut spec);
    pod_defaults::of_a_pod(&mut spec);
    json!({"metadata": {"name": "p"}, "spec": spec})
}

/// Checks what is wrong with a valid pod after `change`; `want` are its errors.
fn check(change: Value, want: &[&str]) {
    let mut errors = FieldErrors::new();
    pod_spec::pod(&pod(change.clone()), &mut errors);
    let got = errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(got, want, "{change}");
}

/// The same for a change of its container.
fn check_container(change: Value, want: &[&str]) {
    let mut container = json!({"name": "c", "image": "i"});
    for (field, value) in change.as_object().into_iter().flatten() {
        set(&mut container, field, value.clone());
    }
    let want = want.iter().map(|want| format!("spec.containers[0].{want}")).collect::<Vec<_>>();
    check(json!({"containers": [container]}), &want.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn valid_pods() {
    check(json!({}), &[]);
    check(json!({"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet", "priorityClassName": ""}), &[]);
    check_container(
        json!({
            "ports": [{"containerPort": 80, "name": "http"}], "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a/b']"}}},
                {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}],
            "envFrom": [{"configMapRef": {"name": "x"}}],
            "livenessProbe": {"exec": {"command": ["a"]}}, "readinessProbe": {"grpc": {"port": 1}},
            "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
            "resources": {"limits": {"cpu": "1", "example.com/gpu": "1"}},
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        }),
        &[],
    );
}

#[test]
fn ports_and_probes() {
    check_container(
        json!({"ports": [{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]}),
        &["ports[1].name: Duplicate value: \"a\""],
    );
    check_container(
        json!({"ports": [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]}),
        &["ports[1].hostPort: Duplicate value: \"TCP//80\""],
    );
    check_container(
        json!({"livenessProbe": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}, "successThreshold": 2}}),
        &[
            "livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            "livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ],
    );
    check_container(
        json!({"readinessProbe": {"exec": {}, "terminationGracePeriodSeconds": 1, "periodSeconds": -1}}),
        &[
            "readinessProbe.exec.command: Required value",
            "readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
            "readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes",
        ],
    );
    check_container(
        json!({"lifecycle": {"postStart": {"sleep": {"seconds": 31}}}}),
        &["lifecycle.postStart.sleep: Invalid value: 31: must be non-negative and less than \
           terminationGracePeriodSeconds (30)"],
    );
}

#[test]
fn environment() {
    check_container(
        json!({"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]}),
        &[
            "env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"status.phase\": supported values: \
             \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \
             \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"",
            "env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
        ],
    );
    check_container(
        json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nope"}}}]}),
        &[
            "env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.nope\": error converting fieldPath: field \
           label not supported: spec.nope",
        ],
    );
    check_container(
        json!({"env": [{"name": "A=", "valueFrom": {"secretKeyRef": {"name": "", "key": ""}}}]}),
        &[
            "env[0].name: Invalid value: \"A=\": a valid environment variable name must consist only of printable \
             ASCII characters other than '='",
            "env[0].valueFrom.secretKeyRef.name: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist \
             of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric \
             character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            "env[0].valueFrom.secretKeyRef.key: Required value",
        ],
    );
    check_container(
        json!({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}],
            "envFrom": [{}]}),
        &[
            "env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m \
             and 1 are supported with the cpu resource",
            "envFrom[0]: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
        ],
    );
}

#[test]
fn volumes_and_mounts() {
    check(
        json!({"volumes": [{"name": "v", "configMap": {"items": [{"key": "k", "path": "../x"}]}},
            {"name": "v", "secret": {"secretName": "s", "defaultMode": 512}}, {"name": "h", "hostPath": {"path": "/a/.."}}]}),
        &[
            "spec.volumes[0].configMap.name: Required value",
            "spec.volumes[0].configMap.items[0].path: Invalid value: \"../x\": must not contain '..'",
            "spec.volumes[1].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), \
             both inclusive",
            "spec.volumes[2].hostPath.path: Invalid value: \"/a/..\": must not contain '..'",
        ],
    );
    check(
        json!({"volumes": [{"name": "p", "projected": {"sources": [
            {"secret": {"name": "a", "items": [{"key": "k", "path": "x"}]}},
            {"configMap": {"name": "b", "items": [{"key": "k", "path": "x"}]}},
            {"serviceAccountToken": {"path": "t", "expirationSeconds": 5}},
        ]}}]}),
        &[
            "spec.volumes[0].projected: Invalid value: \"b\": conflicting duplicate paths",
            "spec.volumes[0].projected.sources[2].serviceAccountToken.expirationSeconds: Invalid value: 5: may not \
             specify a duration less than 10 minutes",
        ],
    );
    check_container(
        json!({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "/x"}, {"name": "v", "mountPath": "/a",
            "mountPropagation": "Bidirectional"}]}),
        &[
            "volumeMounts.subPath: Invalid value: \"/x\": must be a relative path",
            "volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique",
            "volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to \
             privileged containers",
        ],
    );
    check_container(
        json!({"volumeDevices": [{"name": "v", "devicePath": "/d"}, {"name": "claim", "devicePath": "/d"}]}),
        &[
            "volumeDevices[0].name: Invalid value: \"v\": can only use volume source type of PersistentVolumeClaim \
             or Ephemeral for block mode",
            "volumeDevices[1].devicePath: Invalid value: \"/d\": must be unique",
        ],
    );
}

#[test]
fn resources() {
    check_container(
        json!({"resources": {"limits": {"cpu": "-1", "gpu": "1", "example.com/gpu": "1.5"},
            "requests": {"example.com/gpu": "1"}}}),
        &[
            "resources.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            "resources.limits[example.com/gpu]: Invalid value: \"1500m\": must be an integer",
            "resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource for containers",
            "resources.requests[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            "resources.requests: Invalid value: \"1\": must be equal to example.com/gpu limit of 1500m",
            "resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource for containers",
        ],
    );
    check_container(
        json!({"resources": {"limits": {"hugepages-2Mi": "3Mi"}}}),
        &[
            "resources.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of \
             hugepages-2Mi",
            "resources.requests[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of \
             hugepages-2Mi",
            "resources: Forbidden: HugePages require cpu or memory",
        ],
    );
}

#[test]
fn init_containers() {
    check(
        json!({"initContainers": [{"name": "c", "image": "i", "livenessProbe": {"exec": {"command": ["a"]}}},
            {"name": "s", "image": "i", "restartPolicy": "Always", "readinessProbe": {"exec": {"command": ["a"]}}}]}),
        &[
            "spec.initContainers[0].name: Duplicate value: \"c\"",
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without \
             restartPolicy=Always",
        ],
    );
}

#[test]
fn security() {
    check(
        json!({"securityContext": {"runAsUser": -1, "sysctls": [{"name": "net.core.somaxconn", "value": "1"},
            {"name": "Bad", "value": ""}], "fsGroupChangePolicy": "x", "seccompProfile": {"type": "Localhost"}},
            "hostNetwork": true}),
        &[
            "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            "spec.securityContext.sysctls[0].name: Invalid value: \"net.core.somaxconn\": may not be specified when \
             'hostNetwork' is true",
            "spec.securityContext.sysctls[1].name: Invalid value: \"Bad\": must have at most 253 characters and \
             match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            "spec.securityContext.fsGroupChangePolicy: Unsupported value: \"x\": supported values: \"Always\", \
             \"OnRootMismatch\"",
            "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type \
             is Localhost",
        ],
    );
    check(
        json!({"hostUsers": false, "hostPID": true, "shareProcessNamespace": true}),
        &[
            "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID \
             cannot both be enabled",
            "spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false",
        ],
    );
    check_container(
        json!({"securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": " x"}}}),
        &[
            "securityContext.appArmorProfile.localhostProfile: Invalid value: \" x\": must not be padded with \
           whitespace",
        ],
    );
}

#[test]
fn scheduling() {
    check(
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "b", "operator": "Gt", "values": ["1", "2"]}],
             "matchFields": [{"key": "x", "operator": "Exists"}]}]}},
            "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0,
                "podAffinityTerm": {"topologyKey": "zone", "matchLabelKeys": ["a"]}}]}}}),
        &[
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].\
             matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].\
             matchExpressions[1].values: Required value: must be specified single value when `operator` is 'Lt' or \
             'Gt'",
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].\
             matchFields[0].operator: Invalid value: \"Exists\": not a valid selector operator",
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].\
             matchFields[0].key: Invalid value: \"x\": not a valid field selector key",
            "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: \
             must be in the range 1-100",
            "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.\
             matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
        ],
    );
    check(
        json!({"topologySpreadConstraints": [
            {"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "X", "minDomains": 1, "labelSelector": {}}]}),
        &[
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
            "spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"X\": supported values: \
             \"DoNotSchedule\", \"ScheduleAnyway\"",
            "spec.topologySpreadConstraints[0].minDomains: Invalid value: 1: can only use minDomains if \
             whenUnsatisfiable=DoNotSchedule, not X",
        ],
    );
    check(
        json!({"tolerations": [{"key": "a", "operator": "Exists", "value": "x", "tolerationSeconds": 1},
            {"key": "b", "operator": "Y", "effect": "Z"}]}),
        &[
            "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` \
             is set",
            "spec.tolerations[0].operator: Invalid value: \"x\": value must be empty when `operator` is 'Exists'",
            "spec.tolerations[1].operator: Unsupported value: \"Y\": supported values: \"Equal\", \"Exists\"",
            "spec.tolerations[1].effect: Unsupported value: \"Z\": supported values: \"NoSchedule\", \
             \"PreferNoSchedule\", \"NoExecute\"",
        ],
    );
}

#[test]
fn names_and_addresses() {
    check(
        json!({"hostname": "a.b", "nodeName": "A", "dnsPolicy": "None", "dnsConfig": {"nameservers": ["x"],
            "searches": ["_a.b.", "-"], "options": [{}]}, "os": {"name": "plan9"}}),
        &[
            "spec.dnsConfig.nameservers[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or \
             2001:db8::ffff)",
            "spec.dnsConfig.searches[1]: Invalid value: \"-\": a lowercase RFC 1123 subdomain must consist of lower \
             case alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
             (e.g. 'example.com', regex used for validation is \
             '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')",
            "spec.dnsConfig.options[0]: Required value: must not be empty",
            "spec.nodeName: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case \
             alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
             'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            "spec.hostname: Invalid value: \"a.b\": must not contain dots",
            "spec.os: Unsupported value: \"plan9\": supported values: \"linux\", \"windows\"",
        ],
    );
}
