//! What of a pod's volumes a container sees, and where.

use super::check;
use super::value::{at, has, list, text};
use crate::field::{FieldError, FieldErrors, Path};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Checks the mounts and raw devices of a container against the pod's valid volumes.
pub fn mounts(container: &Value, volumes: &BTreeMap<&str, &Value>, path: &Path, errors: &mut FieldErrors) {
    let devices = list(container, "volumeDevices");
    let privileged = at(at(container, "securityContext"), "privileged").as_bool() == Some(true);
    let all = path.child("volumeMounts");
    let mut taken = BTreeSet::new();
    for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
        let path = all.index(index);
        let (name, place) = (text(mount, "name"), text(mount, "mountPath"));
        check::required(mount, "name", &path, errors);
        if !volumes.contains_key(name) {
            errors.push(FieldError::not_found(&path.child("name"), name));
        }
        check::required(mount, "mountPath", &path, errors);
        if !taken.insert(place) {
            errors.push(FieldError::invalid(&path.child("mountPath"), place, "must be unique"));
        }
        if devices.iter().any(|device| text(device, "name") == name) {
            let why = "must not already exist in volumeDevices";
            errors.push(FieldError::invalid(&path.child("name"), name, why));
        }
        if devices.iter().any(|device| text(device, "devicePath") == place) {
            let why = "must not already exist as a path in volumeDevices";
            errors.push(FieldError::invalid(&path.child("mountPath"), place, why));
        }
        mount_details(mount, privileged, &all, &path, errors);
    }
    raw_devices(container, volumes, &path.child("volumeDevices"), errors);
}

/// Sub-paths and propagation. Some errors stand at the path of the list, as Kubernetes has them.
fn mount_details(mount: &Value, privileged: bool, all: &Path, path: &Path, errors: &mut FieldErrors) {
    let (sub, expression) = (text(mount, "subPath"), text(mount, "subPathExpr"));
    check::descending_path(sub, &all.child("subPath"), errors);
    if !expression.is_empty() {
        if !sub.is_empty() {
            let why = "subPathExpr and subPath are mutually exclusive";
            errors.push(FieldError::invalid(&path.child("subPathExpr"), expression, why));
        }
        check::descending_path(expression, &all.child("subPathExpr"), errors);
    }
    let propagation = text(mount, "mountPropagation");
    if !propagation.is_empty() {
        let allowed = ["Bidirectional", "HostToContainer", "None"];
        check::one_of(propagation, &allowed, &all.child("mountPropagation"), errors);
        if propagation == "Bidirectional" && !privileged {
            let why = "Bidirectional mount propagation is available only to privileged containers";
            errors.push(FieldError::forbidden(&all.child("mountPropagation"), why));
        }
    }
    let path = all.child("recursiveReadOnly");
    match text(mount, "recursiveReadOnly") {
        "" | "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if at(mount, "readOnly").as_bool() != Some(true) {
                errors.push(FieldError::forbidden(&path, "may only be specified when readOnly is true"));
            }
            if !matches!(propagation, "" | "None") {
                let why = "may only be specified when mountPropagation is None or not specified";
                errors.push(FieldError::forbidden(&path, why));
            }
        }
        other => check::one_of(other, &["Disabled", "Enabled", "IfPossible"], &path, errors),
    }
}

fn raw_devices(container: &Value, volumes: &BTreeMap<&str, &Value>, path: &Path, errors: &mut FieldErrors) {
    let mounts = list(container, "volumeMounts");
    let (mut names, mut places) = (BTreeSet::new(), BTreeSet::new());
    for (index, device) in list(container, "volumeDevices").iter().enumerate() {
        let path = path.index(index);
        let (name, place) = (text(device, "name"), text(device, "devicePath"));
        check::required(device, "name", &path, errors);
        if !names.insert(name) {
            errors.push(FieldError::invalid(&path.child("name"), name, "must be unique"));
        }
        match volumes.get(name) {
            Some(volume) if !has(volume, "persistentVolumeClaim") && !has(volume, "ephemeral") => {
                let why =
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.push(FieldError::invalid(&path.child("name"), name, why));
            }
            Some(_) => {}
            None => errors.push(FieldError::not_found(&path.child("name"), name)),
        }
        check::required(device, "devicePath", &path, errors);
        if places.contains(place) {
            errors.push(FieldError::invalid(&path.child("devicePath"), place, "must be unique"));
        }
        if place.split('/').any(|part| part == "..") {
            let why = "can not contain backsteps ('..')";
            errors.push(FieldError::invalid(&path.child("devicePath"), place, why));
        } else {
            places.insert(place);
        }
        if mounts.iter().any(|mount| text(mount, "name") == name) {
            let why = "must not already exist in volumeMounts";
            errors.push(FieldError::invalid(&path.child("name"), name, why));
        }
        if mounts.iter().any(|mount| text(mount, "mountPath") == place) {
            let why = "must not already exist as a path in volumeMounts";
            errors.push(FieldError::invalid(&path.child("devicePath"), place, why));
        }
    }
}
