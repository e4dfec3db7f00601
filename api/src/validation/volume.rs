//! Volumes of a pod: one source each, with what that source must say.

use super::check;
use super::env;
use super::value::{at, has, int, list, text};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use crate::quantity::Quantity;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const MODE_WHY: &str = "must be a number between 0 and 0777 (octal), both inclusive";
/// Kinds of what a hostPath may be; sorted, as messages list them.
const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// The sources, in the order in which they are looked at, with the fields that must be set.
const SOURCES: [(&str, &[&str]); 30] = [
    ("emptyDir", &[]),
    ("hostPath", &["path"]),
    ("gitRepo", &["repository"]),
    ("gcePersistentDisk", &["pdName"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("secret", &["secretName"]),
    ("nfs", &["server", "path"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("glusterfs", &["endpoints", "path"]),
    ("flocker", &[]),
    ("persistentVolumeClaim", &["claimName"]),
    ("rbd", &["monitors", "image"]),
    ("cinder", &["volumeID"]),
    ("cephfs", &["monitors"]),
    ("quobyte", &["registry", "volume"]),
    ("downwardAPI", &[]),
    ("fc", &[]),
    ("flexVolume", &["driver"]),
    ("configMap", &["name"]),
    ("azureFile", &["secretName", "shareName"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("storageos", &["volumeName"]),
    ("projected", &[]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("csi", &["driver"]),
    ("ephemeral", &["volumeClaimTemplate"]),
    ("image", &[]),
];

/// Checks the volumes, and returns the valid ones by name: mounts may only use those.
pub fn volumes<'a>(
    spec: &'a Value,
    pod_name: Option<&str>,
    path: &Path,
    errors: &mut FieldErrors,
) -> BTreeMap<&'a str, &'a Value> {
    let mut valid = BTreeMap::new();
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        let path = path.index(index);
        let mut wrong = FieldErrors::new();
        source(volume, pod_name, &path, &mut wrong);
        let name = text(volume, "name");
        let at_name = path.child("name");
        match name {
            "" => wrong.push(FieldError::required(&at_name, "")),
            _ => check::each(names::dns1123_label(name), name, &at_name, &mut wrong),
        }
        if valid.contains_key(name) {
            wrong.push(FieldError::duplicate(&at_name, name));
        }
        if wrong.is_empty() {
            valid.insert(name, volume);
        }
        errors.append(&mut wrong);
    }
    valid
}

fn source(volume: &Value, pod_name: Option<&str>, path: &Path, errors: &mut FieldErrors) {
    let mut found = false;
    for (name, required) in SOURCES.into_iter().filter(|(name, _)| has(volume, name)) {
        if found {
            let why = "may not specify more than 1 volume type";
            errors.push(FieldError::forbidden(&path.child(name), why));
            continue;
        }
        found = true;
        let (source, path) = (at(volume, name), path.child(name));
        for field in required {
            check::required(source, field, &path, errors);
        }
        details(name, source, &path, errors);
    }
    if !found {
        errors.push(FieldError::required(path, "must specify a volume type"));
    }
    if let Some(pod) = pod_name.filter(|pod| !pod.is_empty() && has(volume, "ephemeral")) {
        let name = text(volume, "name");
        let claim = format!("{pod}-{name}");
        for why in names::dns1123_subdomain(&claim) {
            let why = format!("PVC name \"{claim}\": {why}");
            errors.push(FieldError::invalid(&path.child("name"), name, why));
        }
    }
}

/// What a source must fulfil beyond having its fields.
fn details(name: &str, source: &Value, path: &Path, errors: &mut FieldErrors) {
    match name {
        "emptyDir" if Quantity::from_value(at(source, "sizeLimit")).is_some_and(|limit| limit.sign() < 0) => {
            let why = "SizeLimit field must be a valid resource quantity";
            errors.push(FieldError::forbidden(&path.child("sizeLimit"), why));
        }
        "hostPath" if !text(source, "path").is_empty() => {
            check::no_backsteps(text(source, "path"), &path.child("path"), errors);
            check::optional_one_of(source, "type", &HOST_PATH_TYPES, path, errors);
        }
        "gitRepo" => check::descending_path(text(source, "directory"), &path.child("directory"), errors),
        "nfs" if !text(source, "path").starts_with('/') => {
            let why = "must be an absolute path";
            errors.push(FieldError::invalid(&path.child("path"), text(source, "path"), why));
        }
        "secret" | "configMap" => {
            mode(source, "defaultMode", path, errors);
            for (index, item) in list(source, "items").iter().enumerate() {
                key_to_path(item, &path.child("items").index(index), errors);
            }
        }
        "downwardAPI" => {
            mode(source, "defaultMode", path, errors);
            for file in list(source, "items") {
                downward_file(file, path, errors);
            }
        }
        "projected" => {
            mode(source, "defaultMode", path, errors);
            projected(source, path, errors);
        }
        "csi" => csi(source, path, errors),
        "image" => {
            let policies = ["Always", "IfNotPresent", "Never"];
            check::required_one_of(source, "pullPolicy", &policies, path, errors);
        }
        _ => {}
    }
}

fn mode(source: &Value, field: &str, path: &Path, errors: &mut FieldErrors) {
    if let Some(mode) = int(source, field).filter(|mode| !(0..=0o777).contains(mode)) {
        errors.push(FieldError::invalid(&path.child(field), mode, MODE_WHY));
    }
}

fn key_to_path(item: &Value, path: &Path, errors: &mut FieldErrors) {
    check::required(item, "key", path, errors);
    check::required(item, "path", path, errors);
    check::file_path(text(item, "path"), &path.child("path"), errors);
    mode(item, "mode", path, errors);
}

fn downward_file(file: &Value, path: &Path, errors: &mut FieldErrors) {
    check::required(file, "path", path, errors);
    check::file_path(text(file, "path"), &path.child("path"), errors);
    if has(file, "fieldRef") {
        env::field_ref(at(file, "fieldRef"), env::FILE_FIELDS, &path.child("fieldRef"), errors);
        if has(file, "resourceFieldRef") {
            let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
            errors.push(FieldError::invalid(path, "resource", why));
        }
    } else if has(file, "resourceFieldRef") {
        env::resource_ref(at(file, "resourceFieldRef"), true, &path.child("resourceFieldRef"), errors);
    } else {
        errors.push(FieldError::required(path, "one of fieldRef and resourceFieldRef is required"));
    }
    mode(file, "mode", path, errors);
}

fn projected(volume: &Value, path: &Path, errors: &mut FieldErrors) {
    let mut taken = BTreeSet::new();
    for (index, source) in list(volume, "sources").iter().enumerate() {
        let at_source = path.child("sources").index(index);
        let mut count = 0;
        let mut take = |file: &'_ str, shown: &str, errors: &mut FieldErrors| {
            if !file.is_empty() && !taken.insert(file.to_owned()) {
                errors.push(FieldError::invalid(path, shown, "conflicting duplicate paths"));
            }
        };
        for name in ["secret", "configMap"].into_iter().filter(|name| has(source, name)) {
            count += 1;
            let (source, path) = (at(source, name), at_source.child(name));
            check::required(source, "name", &path, errors);
            for (index, item) in list(source, "items").iter().enumerate() {
                key_to_path(item, &path.child("items").index(index), errors);
                take(text(item, "path"), text(source, "name"), errors);
            }
        }
        if has(source, "downwardAPI") {
            count += 1;
            for file in list(at(source, "downwardAPI"), "items") {
                downward_file(file, &at_source.child("downwardAPI"), errors);
                take(text(file, "path"), text(file, "path"), errors);
            }
        }
        if has(source, "serviceAccountToken") {
            count += 1;
            token(at(source, "serviceAccountToken"), &at_source, path, errors);
        }
        for name in ["clusterTrustBundle", "podCertificate"].into_iter().filter(|name| has(source, name)) {
            count += 1;
            let (source, path) = (at(source, name), at_source.child(name));
            if name == "clusterTrustBundle" {
                check::required(source, "path", &path, errors);
                check::file_path(text(source, "path"), &path.child("path"), errors);
                take(text(source, "path"), text(source, "path"), errors);
            }
        }
        if count > 1 {
            let why = "may not specify more than 1 volume type per source";
            errors.push(FieldError::forbidden(&at_source, why));
        }
    }
}

/// A token's life and file. Its file's errors stand at the volume's path, as Kubernetes has them.
fn token(source: &Value, at_source: &Path, at_volume: &Path, errors: &mut FieldErrors) {
    let path = at_source.child("serviceAccountToken").child("expirationSeconds");
    let seconds = int(source, "expirationSeconds").unwrap_or_default();
    if seconds < 600 {
        let why = "may not specify a duration less than 10 minutes";
        errors.push(FieldError::invalid(&path, seconds, why));
    }
    if seconds > 1 << 32 {
        let why = "may not specify a duration larger than 2^32 seconds";
        errors.push(FieldError::invalid(&path, seconds, why));
    }
    match text(source, "path") {
        "" => errors.push(FieldError::required(&at_volume.child("path"), "")),
        file => check::file_path(file, &at_volume.child("path"), errors),
    }
}

fn csi(source: &Value, path: &Path, errors: &mut FieldErrors) {
    let driver = text(source, "driver");
    if driver.len() > 63 {
        errors.push(FieldError::too_long(&path.child("driver"), 63));
    }
    if !driver.is_empty() {
        check::each(names::dns1123_subdomain(&driver.to_lowercase()), driver, &path.child("driver"), errors);
    }
    if has(source, "nodePublishSecretRef") {
        check::required(
            at(source, "nodePublishSecretRef"),
            "name",
            &path.child("nodePublishSecretRef"),
            errors,
        );
    }
}
