//! CNI's values: what a request names and what a result says. Pure.

use crate::attachment::{Attachment, Key};
use crate::tables::GATEWAY;
use keelson_ebpf_abi::Address;
use keelson_proto::cni::{Error, Request, VERSIONS, code};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The sandbox that a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Which attachment.
    pub key: Key,
    /// Its network namespace; empty where CNI allows it.
    pub netns: PathBuf,
    /// Namespace of the pod, from `K8S_POD_NAMESPACE`.
    pub pod_namespace: String,
    /// Name of the pod, from `K8S_POD_NAME`.
    pub pod_name: String,
    /// Its uid, from `K8S_POD_UID`, which older runtimes do not say.
    pub pod_uid: String,
}

/// Longest names that are taken, bytes.
const NAME_MAX: usize = 255;

/// Reads and checks the sandbox of a request.
pub fn sandbox(request: &Request) -> Result<Sandbox, Error> {
    let wrong = |name: &str| Error::new(code::INVALID_ENVIRONMENT, format!("{name} is missing or not valid"));
    let id = &request.container_id;
    if id.is_empty() || id.len() > NAME_MAX || id.contains('\0') {
        return Err(wrong("CNI_CONTAINERID"));
    }
    let ifname = &request.ifname;
    let printable = |c: char| c.is_ascii_graphic() && c != '/' && c != ':';
    if ifname.is_empty() || ifname.len() > 15 || !ifname.chars().all(printable) || ifname.starts_with('.') {
        return Err(wrong("CNI_IFNAME"));
    }
    if request.netns.contains('\0') || request.netns.len() > 4096 {
        return Err(wrong("CNI_NETNS"));
    }
    let argument = |name: &str| request.args.get(name).cloned().unwrap_or_default();
    Ok(Sandbox {
        key: Key { container_id: id.clone(), ifname: ifname.clone() },
        netns: PathBuf::from(&request.netns),
        pod_namespace: argument("K8S_POD_NAMESPACE"),
        pod_name: argument("K8S_POD_NAME"),
        pod_uid: argument("K8S_POD_UID"),
    })
}

/// The version of the request's configuration, if we speak it.
pub fn version(request: &Request) -> Result<String, Error> {
    let version = request.config.get("cniVersion").and_then(Value::as_str).unwrap_or_default();
    if VERSIONS.contains(&version) {
        return Ok(version.to_owned());
    }
    let message = format!("cniVersion {version:?} is not one of {}", VERSIONS.join(", "));
    Err(Error::new(code::INCOMPATIBLE_VERSION, message))
}

/// The result of ADD.
pub fn result(version: &str, attachment: &Attachment, host_mac: [u8; 6], mtu: u32) -> Value {
    let gateway = Address::from_bytes(GATEWAY).to_string();
    let mut outside = json!({"name": attachment.host_interface, "mac": mac(host_mac)});
    let mut inside = json!({
        "name": attachment.key.ifname, "mac": mac(attachment.mac), "sandbox": attachment.netns,
    });
    if version == "1.1.0" {
        outside["mtu"] = json!(mtu);
        inside["mtu"] = json!(mtu);
    }
    let mut ip = json!({"address": format!("{}/32", attachment.address), "gateway": gateway, "interface": 1});
    if version == "0.4.0" {
        ip["version"] = json!("4");
    }
    json!({
        "cniVersion": version,
        "interfaces": [outside, inside],
        "ips": [ip],
        "routes": [{"dst": "0.0.0.0/0", "gw": gateway}],
        "dns": {},
    })
}

fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

/// The attachments that GC's caller still wants.
pub fn valid_attachments(request: &Request) -> Result<BTreeSet<Key>, Error> {
    let missing = || Error::new(code::INVALID_CONFIG, "GC needs cni.dev/valid-attachments");
    let list =
        request.config.get("cni.dev/valid-attachments").and_then(Value::as_array).ok_or_else(missing)?;
    let key = |entry: &Value| {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
        let (container_id, ifname) = (text("containerID")?, text("ifname")?);
        Some(Key { container_id, ifname })
    };
    list.iter()
        .map(|entry| {
            key(entry).ok_or_else(|| Error::new(code::INVALID_CONFIG, "an attachment without names"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use keelson_proto::cni::Command;
    use std::collections::BTreeMap;

    fn request(id: &str, ifname: &str, config: Value) -> Request {
        Request {
            command: Command::Add,
            container_id: id.to_owned(),
            netns: "/var/run/netns/x".to_owned(),
            ifname: ifname.to_owned(),
            args: BTreeMap::from([("K8S_POD_NAME".to_owned(), "web".to_owned())]),
            config,
        }
    }

    #[test]
    fn names_from_outside_are_checked() {
        assert_eq!(sandbox(&request("abc", "eth0", json!({}))).unwrap().pod_name, "web");
        for (id, ifname) in
            [("", "eth0"), ("a", ""), ("a", "../../eth0"), ("a", "sixteen-letters-"), ("a", "e 0")]
        {
            assert_eq!(sandbox(&request(id, ifname, json!({}))).unwrap_err().code, code::INVALID_ENVIRONMENT);
        }
    }

    #[test]
    fn only_known_versions_are_spoken() {
        assert_eq!(version(&request("a", "eth0", json!({"cniVersion": "1.1.0"}))).unwrap(), "1.1.0");
        for config in [json!({}), json!({"cniVersion": "0.3.0"}), json!({"cniVersion": 1})] {
            assert_eq!(version(&request("a", "eth0", config)).unwrap_err().code, code::INCOMPATIBLE_VERSION);
        }
    }

    #[test]
    fn garbage_collection_needs_its_list() {
        let good = json!({"cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0"}]});
        assert_eq!(valid_attachments(&request("", "", good)).unwrap().len(), 1);
        for bad in [json!({}), json!({"cni.dev/valid-attachments": [{"ifname": "eth0"}]})] {
            assert_eq!(valid_attachments(&request("", "", bad)).unwrap_err().code, code::INVALID_CONFIG);
        }
    }
}
