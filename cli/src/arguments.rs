//! What can be asked for on the command line. `--help` is made from the comments here.

use clap::{Args, Parser, Subcommand};
use std::net::IpAddr;
use std::path::PathBuf;

const JOIN: &str = "Try:\n  sudo keelson agent --server https://SERVER:6443 --token TOKEN\n\n\
    `keelson token` prints the token on the server. A node that has joined needs it no more.";

const KEYS: &str = "The keys of the configuration file are listed by --help.";

/// Kubernetes in one binary, with its data plane in the kernel.
#[derive(Parser)]
#[command(name = "keelson", version, max_term_width = 100)]
pub struct Arguments {
    /// What to log: error, warn, info, debug, trace; also per crate, as in info,keelson_store=debug
    #[arg(
        long,
        value_name = "FILTER",
        global = true,
        env = "KEELSON_LOG",
        default_value = "info,openraft=warn",
        display_order = 900
    )]
    pub log: String,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run a whole cluster on this machine: a server and a node
    #[command(
        after_help = "Try:\n  sudo keelson up\n  export KUBECONFIG=/etc/keelson/admin.kubeconfig\n  kubectl get nodes"
    )]
    Up(Up),
    /// Run the control plane: API server, store, controllers, scheduler
    #[command(after_help = KEYS, after_long_help = keelson_server::ServerConfig::help())]
    Server(Server),
    /// Run a node: kubelet, data plane, DNS and containerd
    #[command(
        after_help = format!("{JOIN}\n\n{KEYS}"),
        after_long_help = format!("{JOIN}\n\n{}", keelson_agent::config::AgentConfig::help())
    )]
    Agent(Agent),
    /// Images of the node's containerd
    #[command(subcommand)]
    Image(Image),
    /// Print the token with which nodes join
    #[command(
        after_help = "On another machine:\n  sudo keelson agent --server https://SERVER:6443 --token TOKEN"
    )]
    Token(Token),
    /// Print the version
    Version(Version),
}

#[derive(Args)]
pub struct Up {
    /// The address of this machine for nodes and clients; that of the default route when absent
    #[arg(long, value_name = "IP")]
    pub address: Option<IpAddr>,
    /// Where everything that must survive a reboot is kept [default: /var/lib/keelson]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// How services and pods are networked: eBPF where the kernel has what it takes and else iptables, or one of them
    /// [default: auto]
    #[arg(long, value_name = "MODE", value_parser = ["auto", "ebpf", "iptables"])]
    pub datapath: Option<String>,
}

#[derive(Args)]
pub struct Server {
    /// The configuration file (apiVersion: keelson.dev/v1alpha1, kind: ServerConfig)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where everything that must survive a reboot is kept [default: /var/lib/keelson/server]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The address to listen on [default: 0.0.0.0]
    #[arg(long, value_name = "IP")]
    pub bind_address: Option<IpAddr>,
    /// The port to listen on [default: 6443]
    #[arg(long, value_name = "PORT")]
    pub secure_port: Option<u16>,
    /// The address that nodes and pods reach the server at [default: that of the default route]
    #[arg(long, value_name = "IP")]
    pub advertise_address: Option<IpAddr>,
    /// One more name or address for the server's certificate; may be given several times
    #[arg(long, value_name = "NAME")]
    pub tls_san: Vec<String>,
    /// Give up root for this user, who gets the server's state
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
}

#[derive(Args)]
pub struct Agent {
    /// The configuration file (apiVersion: keelson.dev/v1alpha1, kind: AgentConfig) [default: /etc/keelson/agent.yaml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The API server, https://HOST:PORT; instead of a configuration file
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    pub server: Option<String>,
    /// The join token, as `keelson token` prints it on the server; goes before that of a configuration file
    #[arg(long, value_name = "TOKEN", env = "KEELSON_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

#[derive(Subcommand)]
pub enum Image {
    /// Import an image archive (OCI layout or docker save) so that pods of this node can use it
    Import(ImageImport),
}

#[derive(Args)]
pub struct ImageImport {
    /// The archive
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What to call an image that has no name of its own, such as example.org/app:1
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The node's configuration, which says where its containerd is [default: /etc/keelson/agent.yaml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Args)]
pub struct Token {
    /// The state folder of `keelson up` or of the server
    #[arg(long, value_name = "DIR", default_value = "/var/lib/keelson")]
    pub state: PathBuf,
}

#[derive(Args)]
pub struct Version {
    /// The form: text, json or yaml
    #[arg(short, long, default_value = "text", value_parser = ["text", "json", "yaml"])]
    pub output: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn is_consistent() {
        Arguments::command().debug_assert();
    }

    /// Every command and option explains itself.
    #[test]
    fn help_is_complete() {
        fn check(command: &clap::Command) {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} has no help");
            for arg in command.get_arguments().filter(|a| !["help", "version"].contains(&a.get_id().as_str()))
            {
                assert!(arg.get_help().is_some(), "{name} {} has no help", arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Arguments::command());
    }

    /// Each key that a configuration file may have is listed, and no other.
    #[test]
    fn keys_are_in_the_help() {
        fn check(name: &str, defaults: impl serde::Serialize) {
            let mut command = Arguments::command();
            let help = command.find_subcommand_mut(name).unwrap().render_long_help().to_string();
            let (_, list) = help.split_once("Keys of the configuration file (").unwrap();
            let key = |line: &str| {
                let line = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?;
                line.split(' ').next().map(str::to_owned)
            };
            let mut listed: Vec<String> = list.lines().filter_map(key).collect();
            let serde_json::Value::Object(keys) = serde_json::to_value(defaults).unwrap() else {
                panic!("a configuration is a mapping")
            };
            let mut known: Vec<String> = keys.keys().cloned().collect();
            listed.sort();
            known.sort();
            assert_eq!(listed, known, "{name}");
        }
        check("server", keelson_server::ServerConfig::default());
        check("agent", keelson_agent::config::AgentConfig::default());
    }
}
