//! Ports of containers.

use super::network;
use super::value::{int, list, text};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use serde_json::Value;
use std::collections::BTreeSet;

/// Checks the ports of one container.
pub fn ports(container: &Value, path: &Path, errors: &mut FieldErrors) {
    let mut taken = BTreeSet::new();
    for (index, port) in list(container, "ports").iter().enumerate() {
        let path = path.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            let wrong = names::port_name(name);
            if wrong.is_empty() && !taken.insert(name) {
                errors.push(FieldError::duplicate(&path.child("name"), name));
            }
            super::check::each(wrong, name, &path.child("name"), errors);
        }
        match int(port, "containerPort").unwrap_or_default() {
            0 => errors.push(FieldError::required(&path.child("containerPort"), "")),
            number => network::port(number, &path.child("containerPort"), errors),
        }
        match int(port, "hostPort").unwrap_or_default() {
            0 => {}
            number => network::port(number, &path.child("hostPort"), errors),
        }
        network::protocol(text(port, "protocol"), &path.child("protocol"), errors);
    }
}

/// Refuses a host port that two of the containers claim. `path` is that of the list.
pub fn host_port_conflicts(containers: &[Value], path: &Path, errors: &mut FieldErrors) {
    let mut taken = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        for (place, port) in list(container, "ports").iter().enumerate() {
            let Some(number) = int(port, "hostPort").filter(|port| *port != 0) else { continue };
            let claim = format!("{}/{}/{number}", text(port, "protocol"), text(port, "hostIP"));
            if !taken.insert(claim.clone()) {
                let path = path.index(index).child("ports").index(place).child("hostPort");
                errors.push(FieldError::duplicate(&path, claim));
            }
        }
    }
}

/// On the host's network a port is the host's: the two numbers agree. In a template the host's may be left out.
pub fn host_network(containers: &[Value], is_pod: bool, path: &Path, errors: &mut FieldErrors) {
    for (index, container) in containers.iter().enumerate() {
        for (place, port) in list(container, "ports").iter().enumerate() {
            let own = int(port, "containerPort").unwrap_or_default();
            let host = int(port, "hostPort").unwrap_or_default();
            if (is_pod || host != 0) && host != own {
                let path = path.index(index).child("ports").index(place).child("hostPort");
                let why = "must match `containerPort` when `hostNetwork` is true";
                errors.push(FieldError::invalid(&path, host, why));
            }
        }
    }
}
