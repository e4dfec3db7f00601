//! ServiceAccount: a pod runs as an account that exists, and gets a token of it unless it does not want one.

use super::Admission;
use crate::clock;
use crate::server::Core;
use keelson_api::meta;
use keelson_api::status::Status;
use serde_json::{Value, json};

const DEFAULT: &str = "default";
/// Set by kubelets on the API's copies of pods that they run on their own.
const MIRROR: &str = "kubernetes.io/config.mirror";
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME_PREFIX: &str = "kube-api-access-";
/// A second longer than an hour and some, so that such tokens can be told from others in logs.
const TOKEN_SECONDS: i64 = 3607;

pub fn admit(core: &Core, admission: &Admission<'_>, pod: &mut Value) -> Result<(), Status> {
    if meta::annotation(pod, MIRROR).is_some() {
        return admit_mirror(admission, pod);
    }
    let given = pod["spec"]["serviceAccountName"].as_str().unwrap_or_default();
    let name = if given.is_empty() { DEFAULT } else { given }.to_owned();
    pod["spec"]["serviceAccountName"] = name.clone().into();
    pod["spec"]["serviceAccount"] = name.clone().into();
    let key = format!("{}/{name}", admission.namespace);
    let account = core.get_core("serviceaccounts", &key)?.ok_or_else(|| {
        admission
            .forbid(&format!("error looking up service account {key}: serviceaccount \"{name}\" not found"))
    })?;
    if mounts_token(&account, pod) {
        mount_token(pod, &format!("{VOLUME_PREFIX}{}", clock::suffix()));
    }
    let secrets = &account["imagePullSecrets"];
    if pod["spec"]["imagePullSecrets"].as_array().is_none_or(Vec::is_empty)
        && secrets.as_array().is_some_and(|s| !s.is_empty())
    {
        pod["spec"]["imagePullSecrets"] = secrets.clone();
    }
    Ok(())
}

/// A mirror pod is run by its node without the API: it can have nothing of an account.
fn admit_mirror(admission: &Admission<'_>, pod: &Value) -> Result<(), Status> {
    let spec = &pod["spec"];
    if !spec["serviceAccountName"].as_str().unwrap_or_default().is_empty() {
        return Err(admission.forbid("a mirror pod may not reference service accounts"));
    }
    let tokens = spec["volumes"].as_array().into_iter().flatten().any(|volume| {
        let sources = volume["projected"]["sources"].as_array().into_iter().flatten();
        sources.into_iter().any(|source| !source["serviceAccountToken"].is_null())
    });
    if tokens {
        return Err(admission.forbid("a mirror pod may not use ServiceAccountToken volume projections"));
    }
    Ok(())
}

/// The pod's word counts before the account's; without one, yes.
fn mounts_token(account: &Value, pod: &Value) -> bool {
    pod["spec"]["automountServiceAccountToken"]
        .as_bool()
        .or_else(|| account["automountServiceAccountToken"].as_bool())
        .unwrap_or(true)
}

/// Mounts a token into every container that has nothing at its place.
fn mount_token(pod: &mut Value, new_volume: &str) {
    let existing = pod["spec"]["volumes"].as_array().into_iter().flatten().find_map(|volume| {
        let name = volume["name"].as_str()?;
        let projected = volume["projected"]["sources"].as_array().is_some();
        (name.starts_with(VOLUME_PREFIX) && projected).then(|| name.to_owned())
    });
    let volume = existing.as_deref().unwrap_or(new_volume);
    let mount = json!({"name": volume, "readOnly": true, "mountPath": MOUNT_PATH});
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        for container in pod["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let taken = container["volumeMounts"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|mount| mount["mountPath"] == MOUNT_PATH);
            if taken || !container.is_object() {
                continue;
            }
            mounted = true;
            match container["volumeMounts"].as_array_mut() {
                Some(mounts) => mounts.push(mount.clone()),
                None => container["volumeMounts"] = json!([mount]),
            }
        }
    }
    if mounted && existing.is_none() {
        let volume = token_volume(new_volume);
        match pod["spec"]["volumes"].as_array_mut() {
            Some(volumes) => volumes.push(volume),
            None => pod["spec"]["volumes"] = json!([volume]),
        }
    }
}

fn token_volume(name: &str) -> Value {
    json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
        ]}},
    ]}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts() {
        let check = |containers: Value, volumes: usize, mounts: &[usize]| {
            let mut pod = json!({"spec": {"containers": containers}});
            mount_token(&mut pod, "kube-api-access-x");
            let count = |v: &Value| v.as_array().map_or(0, Vec::len);
            assert_eq!(count(&pod["spec"]["volumes"]), volumes, "{containers}");
            let got: Vec<_> = pod["spec"]["containers"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|c| count(&c["volumeMounts"]))
                .collect();
            assert_eq!(got, mounts, "{containers}");
        };
        check(
            json!([{"name": "a"}, {"name": "b", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]),
            1,
            &[1, 2],
        );
        check(json!([{"name": "a", "volumeMounts": [{"name": "v", "mountPath": MOUNT_PATH}]}]), 0, &[1]);
    }

    #[test]
    fn who_says_whether() {
        let check = |account: Value, pod: Value, want: bool| {
            let account = json!({"automountServiceAccountToken": account});
            let pod = json!({"spec": {"automountServiceAccountToken": pod}});
            assert_eq!(mounts_token(&account, &pod), want, "{account} {pod}");
        };
        check(json!(null), json!(null), true);
        check(json!(false), json!(null), false);
        check(json!(false), json!(true), true);
        check(json!(true), json!(false), false);
    }
}
