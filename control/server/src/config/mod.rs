//! What an operator decides about a server: defaults, a YAML file, then flags.

mod cidr;
mod period;
mod read;

pub use cidr::{Cidr, CidrError};
pub use period::{Period, PeriodError};
pub use read::ConfigError;

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// The `kind` of a server's configuration file.
pub const KIND: &str = "ServerConfig";

keelson_api::settings! {
    /// A server's configuration. Every field has a default; an empty file is a valid one.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default, rename_all = "camelCase", deny_unknown_fields)]
    pub struct ServerConfig {
        /// Where the store, keys and certificates are kept.
        pub state_dir: PathBuf,
        /// The address to listen on; `0.0.0.0` stands for all of the machine's.
        pub bind_address: IpAddr,
        /// The port of the API.
        pub secure_port: u16,
        /// The address under which nodes and pods reach the API. Default: the one that the machine uses towards its
        /// default gateway, else `127.0.0.1`.
        pub advertise_address: Option<IpAddr>,
        /// Where the administrator's kubeconfig is written (0600).
        pub admin_kubeconfig: PathBuf,
        /// The network of Service addresses; its first address is the API's.
        #[serde(rename = "serviceCIDR")]
        pub service_cidr: Cidr,
        /// The network of pods; each node gets a /24 of it.
        #[serde(rename = "clusterCIDR")]
        pub cluster_cidr: Cidr,
        /// The domain of Services in DNS.
        pub cluster_domain: String,
        /// The Service address of cluster DNS, within `serviceCIDR`.
        #[serde(rename = "clusterDNS")]
        pub cluster_dns: Ipv4Addr,
        /// The ports that NodePort Services take.
        pub node_port_range: PortRange,
        /// How long an Event is kept after its last write.
        #[serde(rename = "eventTTL")]
        pub event_ttl: Period,
        /// How long the pages of a list that is read in chunks come from one state, counted from when that state was
        /// overtaken; the token of a later page is answered with one for the rest as it is by then.
        #[serde(rename = "continueTTL")]
        pub continue_ttl: Period,
        /// Further names and addresses in the server's certificate. Default: none beside the usual ones, the host's
        /// name and the advertised address.
        #[serde(rename = "tlsSANs")]
        pub tls_sans: Vec<String>,
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from("/var/lib/keelson/server"),
            bind_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            secure_port: 6443,
            advertise_address: None,
            admin_kubeconfig: PathBuf::from("/etc/keelson/admin.kubeconfig"),
            service_cidr: Cidr { address: Ipv4Addr::new(10, 96, 0, 0), prefix: 12 },
            cluster_cidr: Cidr { address: Ipv4Addr::new(10, 244, 0, 0), prefix: 16 },
            cluster_domain: "cluster.local".to_owned(),
            cluster_dns: Ipv4Addr::new(10, 96, 0, 10),
            node_port_range: PortRange { first: 30000, last: 32767 },
            event_ttl: Period::from_hours(1),
            continue_ttl: Period::from_minutes(5),
            tls_sans: Vec::new(),
        }
    }
}

/// Ports from `first` to `last`, both included; written `30000-32767`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    pub first: u16,
    pub last: u16,
}

impl TryFrom<String> for PortRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no port range such as 30000-32767");
        let (first, last) = text.split_once('-').ok_or_else(wrong)?;
        let port = |part: &str| part.trim().parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
        let range = Self { first: port(first)?, last: port(last)? };
        if range.first <= range.last { Ok(range) } else { Err(wrong()) }
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> String {
        format!("{}-{}", range.first, range.last)
    }
}

/// What the command line says; goes before the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub state_dir: Option<PathBuf>,
    pub bind_address: Option<IpAddr>,
    pub secure_port: Option<u16>,
    pub advertise_address: Option<IpAddr>,
    pub admin_kubeconfig: Option<PathBuf>,
    pub service_cidr: Option<Cidr>,
    pub cluster_cidr: Option<Cidr>,
    pub cluster_domain: Option<String>,
    pub cluster_dns: Option<Ipv4Addr>,
    pub node_port_range: Option<PortRange>,
    /// Added to those of the file.
    pub tls_sans: Vec<String>,
}

impl ServerConfig {
    /// Defaults, overlaid by the file if one is given, overlaid by flags, and checked.
    pub fn load(file: Option<&Path>, flags: Flags) -> Result<Self, ConfigError> {
        let mut config = match file {
            Some(path) => read::read(path)?,
            None => Self::default(),
        };
        config.apply(flags);
        config.check()?;
        Ok(config)
    }

    /// A list of the keys of the file, for its writer.
    pub fn help() -> String {
        keelson_api::config::describe(KIND, Self::KEYS, &Self::default())
    }

    /// Reads the text of a configuration file.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        read::parse(text, "configuration")
    }

    fn apply(&mut self, flags: Flags) {
        fn set<T>(field: &mut T, flag: Option<T>) {
            if let Some(value) = flag {
                *field = value;
            }
        }
        set(&mut self.state_dir, flags.state_dir);
        set(&mut self.bind_address, flags.bind_address);
        set(&mut self.secure_port, flags.secure_port);
        set(&mut self.admin_kubeconfig, flags.admin_kubeconfig);
        set(&mut self.service_cidr, flags.service_cidr);
        set(&mut self.cluster_cidr, flags.cluster_cidr);
        set(&mut self.cluster_domain, flags.cluster_domain);
        set(&mut self.cluster_dns, flags.cluster_dns);
        set(&mut self.node_port_range, flags.node_port_range);
        self.advertise_address = flags.advertise_address.or(self.advertise_address);
        self.tls_sans.extend(flags.tls_sans);
    }

    /// The address of the Service `default/kubernetes`: the first of the Service network.
    pub fn kubernetes_address(&self) -> Ipv4Addr {
        self.service_cidr.nth(1)
    }

    /// What fields demand of each other.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |field: &'static str, why: String| Err(ConfigError::Invalid { field, why });
        if self.secure_port == 0 {
            return refuse("securePort", "0 is no port to be found at".to_owned());
        }
        if !(8..=28).contains(&self.service_cidr.prefix) {
            return refuse("serviceCIDR", format!("{} must have a prefix from /8 to /28", self.service_cidr));
        }
        if !(8..=24).contains(&self.cluster_cidr.prefix) {
            return refuse("clusterCIDR", format!("{} must have a prefix from /8 to /24", self.cluster_cidr));
        }
        if self.service_cidr.overlaps(&self.cluster_cidr) {
            return refuse(
                "clusterCIDR",
                format!("{} overlaps serviceCIDR {}", self.cluster_cidr, self.service_cidr),
            );
        }
        if !self.service_cidr.contains(self.cluster_dns) || self.cluster_dns == self.kubernetes_address() {
            return refuse(
                "clusterDNS",
                format!(
                    "{} must be an address of serviceCIDR {} other than {}, which is the API's",
                    self.cluster_dns,
                    self.service_cidr,
                    self.kubernetes_address()
                ),
            );
        }
        if self.event_ttl.duration().is_zero() {
            return refuse("eventTTL", format!("{} must be at least 1s", self.event_ttl));
        }
        if self.continue_ttl.duration().is_zero() {
            return refuse("continueTTL", format!("{} must be at least 1s", self.continue_ttl));
        }
        let domain = self.cluster_domain.as_str();
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !domain.split('.').all(label) || domain.len() > 200 {
            return refuse("clusterDomain", format!("{domain:?} is no domain name in lower case"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
