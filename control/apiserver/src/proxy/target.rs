//! What a proxied path asks for: `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`, and what the objects say of it. Pure.

use keelson_api::status::Status;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};

/// The label by which an EndpointSlice names its Service.
const SERVICE: &str = "kubernetes.io/service-name";

/// The name in a path, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// TLS, whose certificate nobody checks.
    pub https: bool,
    pub name: &'a str,
    /// A number, or a name for services; empty when there is none.
    pub port: &'a str,
}

impl<'a> Asked<'a> {
    /// `None` when the text is of no such form.
    pub fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts[..] {
            [name] => ("", name, ""),
            [name, port] => ("", name, port),
            [scheme, name, port] => (scheme, name, port),
            _ => return None,
        };
        let https = match scheme {
            "" | "http" => false,
            "https" => true,
            _ => return None,
        };
        (!name.is_empty()).then_some(Self { https, name, port })
    }

    /// The port number; `default` when none is asked for.
    pub fn number(&self, default: u16) -> Result<u16, Status> {
        if self.port.is_empty() {
            return Ok(default);
        }
        let number = self.port.parse().ok().filter(|port| *port > 0);
        number
            .ok_or_else(|| Status::bad_request(format!("invalid port {:?}: it must be a number", self.port)))
    }

    /// Where such servers listen when nothing is said.
    pub fn usual_port(&self) -> u16 {
        if self.https { 443 } else { 80 }
    }
}

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub address: SocketAddr,
    /// The node whose kubelet reaches it, when it is a pod.
    pub node: Option<String>,
}

/// The address of a pod and the port asked for, or the first one that it declares.
pub fn of_pod(pod: &Value, asked: &Asked<'_>) -> Result<Place, Status> {
    let declared = pod["spec"]["containers"].as_array().into_iter().flatten().find_map(|container| {
        container["ports"].as_array()?.first()?["containerPort"].as_u64().and_then(|p| u16::try_from(p).ok())
    });
    let port = asked.number(declared.unwrap_or_else(|| asked.usual_port()))?;
    let ip = reachable(pod["status"]["podIP"].as_str().unwrap_or_default())?;
    let node = pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty()).map(str::to_owned);
    Ok(Place { address: SocketAddr::new(ip, port), node })
}

/// The name of the Service's port that is asked for by name or number.
pub fn service_port(service: &Value, asked: &Asked<'_>) -> Result<String, Status> {
    let Ok(number) = asked.port.parse::<u64>() else { return Ok(asked.port.to_owned()) };
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let found = ports.into_iter().find(|port| port["port"].as_u64() == Some(number));
    let name = found.map(|port| port["name"].as_str().unwrap_or_default().to_owned());
    name.ok_or_else(|| {
        Status::unavailable(format!("no service port {number} found for service {:?}", asked.name))
    })
}

/// The ready endpoints in a slice of `service` at its port `port_name`.
pub fn endpoints(slice: &Value, service: &str, port_name: &str) -> Vec<Place> {
    if slice["metadata"]["labels"][SERVICE] != service || slice["addressType"] == "FQDN" {
        return Vec::new();
    }
    let ports = slice["ports"].as_array().into_iter().flatten();
    let port = ports
        .into_iter()
        .find(|port| port["name"].as_str().unwrap_or_default() == port_name)
        .and_then(|port| port["port"].as_u64())
        .and_then(|port| u16::try_from(port).ok());
    let Some(port) = port else { return Vec::new() };
    let ready = |endpoint: &&Value| endpoint["conditions"]["ready"].as_bool().unwrap_or(true);
    let listed = slice["endpoints"].as_array().into_iter().flatten();
    listed
        .filter(ready)
        .filter_map(|endpoint| {
            let ip = reachable(endpoint["addresses"][0].as_str()?).ok()?;
            let is_pod = endpoint["targetRef"]["kind"] == "Pod";
            let node = endpoint["nodeName"].as_str().filter(|_| is_pod).map(str::to_owned);
            Some(Place { address: SocketAddr::new(ip, port), node })
        })
        .collect()
}

/// An address that may be connected to: never one that means this machine or its link.
pub fn reachable(text: &str) -> Result<IpAddr, Status> {
    let refused = || Status::bad_request("address not allowed");
    let ip: IpAddr = text.parse().map_err(|_| refused())?;
    let ip = ip.to_canonical();
    let local = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if local || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() {
        Err(refused())
    } else {
        Ok(ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names() {
        let check = |text: &str, want: Option<(bool, &str, &str)>| {
            let got = Asked::parse(text).map(|a| (a.https, a.name, a.port));
            assert_eq!(got, want, "{text}");
        };
        check("web", Some((false, "web", "")));
        check("web:80", Some((false, "web", "80")));
        check("web:http-alt", Some((false, "web", "http-alt")));
        check("https:web:443", Some((true, "web", "443")));
        check("http:web:", Some((false, "web", "")));
        check("https:web:", Some((true, "web", "")));
        check("ftp:web:21", None);
        check(":web:21", Some((false, "web", "21")));
        for bad in ["", ":80", "a:b:c:d", "https::443"] {
            check(bad, None);
        }
        assert_eq!(Asked::parse("p:99999").unwrap().number(80).unwrap_err().code, 400);
        assert_eq!(Asked::parse("p:x").unwrap().number(80).unwrap_err().code, 400);
    }

    #[test]
    fn pods() {
        let pod = |ip: &str, ports: Value| {
            json!({
                "spec": {"nodeName": "n", "containers": [{"name": "none"}, {"name": "c", "ports": ports}]},
                "status": {"podIP": ip},
            })
        };
        let check = |ip: &str, ports: Value, asked: &str, want: Option<&str>| {
            let got = of_pod(&pod(ip, ports), &Asked::parse(asked).unwrap()).ok();
            assert_eq!(got.as_ref().map(|p| p.address.to_string()).as_deref(), want, "{ip} {asked}");
            assert!(got.is_none_or(|p| p.node.as_deref() == Some("n")));
        };
        let declared = || json!([{"containerPort": 8080}, {"containerPort": 9090}]);
        check("10.1.2.3", declared(), "p", Some("10.1.2.3:8080"));
        check("10.1.2.3", declared(), "p:81", Some("10.1.2.3:81"));
        check("10.1.2.3", json!([]), "p", Some("10.1.2.3:80"));
        check("fd00::7", json!(null), "https:p:", Some("[fd00::7]:443"));
        for never in
            ["", "127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::1", "fe80::1", "::ffff:127.0.0.1"]
        {
            check(never, declared(), "p", None);
        }
    }

    #[test]
    fn services() {
        let service =
            json!({"spec": {"ports": [{"name": "web", "port": 80}, {"name": "admin", "port": 81}]}});
        let port = |asked: &str| service_port(&service, &Asked::parse(asked).unwrap());
        assert_eq!(port("s:81").unwrap(), "admin");
        assert_eq!(port("s:web").unwrap(), "web");
        assert_eq!(port("s").unwrap(), "");
        let missing = port("s:82").unwrap_err();
        assert_eq!(
            (missing.code, missing.message.as_str()),
            (503, "no service port 82 found for service \"s\"")
        );

        let slice = json!({
            "metadata": {"labels": {SERVICE: "s"}}, "addressType": "IPv4",
            "ports": [{"name": "web", "port": 8080}, {"name": "admin", "port": 8081}],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "nodeName": "n", "targetRef": {"kind": "Pod"}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
                {"addresses": ["192.0.2.9"], "conditions": {}, "nodeName": "n"},
                {"addresses": ["127.0.0.1"]},
            ],
        });
        let found = |service: &str, port: &str| -> Vec<String> {
            let places = endpoints(&slice, service, port);
            places.iter().map(|p| format!("{} {}", p.address, p.node.as_deref().unwrap_or("-"))).collect()
        };
        assert_eq!(found("s", "admin"), ["10.0.0.1:8081 n", "192.0.2.9:8081 -"]);
        assert!(found("s", "").is_empty() && found("other", "web").is_empty());
    }
}
