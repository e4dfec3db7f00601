//! From arguments to running parts.

mod image;
mod up;
mod version;

use crate::arguments::{Agent, Command, Image, Server, Token};
use crate::memory;
use crate::process::{Ending, wait_for_end};
use anyhow::{Context, Result, bail};
use keelson_agent::config::AgentConfig;
use keelson_server::{Flags, ServerConfig};
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

/// Runs a command to its end.
pub fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Up(up) => up::run(&up)?,
        Command::Server(server) => run_server(&server)?,
        Command::Agent(agent) => run_agent(&agent)?,
        Command::Image(Image::Import(import)) => image::import(&import)?,
        Command::Token(token) => print_token(&token)?,
        Command::Version(version) => version::print(&version)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the async runtime")
}

fn install_crypto() {
    // Only fails when it was done before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn run_server(arguments: &Server) -> Result<()> {
    let flags = Flags {
        state_dir: arguments.state.clone(),
        bind_address: arguments.bind_address,
        secure_port: arguments.secure_port,
        advertise_address: arguments.advertise_address,
        tls_sans: arguments.tls_san.clone(),
        ..Flags::default()
    };
    let config = ServerConfig::load(arguments.config.as_deref(), flags)?;
    if let Some(user) = &arguments.user {
        anyhow::ensure!(
            config.admin_kubeconfig.starts_with(&config.state_dir),
            "adminKubeconfig ({}) must be below stateDir ({}) when the server runs as {user}: it can write nowhere else",
            config.admin_kubeconfig.display(),
            config.state_dir.display(),
        );
        crate::users::become_user(user, &config.state_dir)?;
    }
    memory::give_back_now_and_then().context("cannot start a thread")?;
    install_crypto();
    runtime()?.block_on(async {
        let server = keelson_server::Server::start(config).await?;
        let ending = wait_for_end().await?;
        tracing::info!(%ending, "ending");
        server.shutdown().await;
        Ok(())
    })
}

fn run_agent(arguments: &Agent) -> Result<()> {
    let config = agent_config(arguments)?;
    memory::give_back_at_once();
    install_crypto();
    runtime()?.block_on(async {
        let starting = keelson_agent::Agent::start(config);
        // A node that waits for its server can be ended, too.
        let agent = tokio::select! {
            agent = starting => agent?,
            ending = wait_for_end() => return ending.map(|_: Ending| ()),
        };
        let ending = wait_for_end().await?;
        tracing::info!(%ending, "ending; pods run on");
        agent.shutdown().await;
        Ok(())
    })
}

/// Where an installed node's configuration is.
const AGENT_CONFIG: &str = "/etc/keelson/agent.yaml";

fn agent_config(arguments: &Agent) -> Result<AgentConfig> {
    if let Some(server) = &arguments.server {
        return Ok(AgentConfig::joining(server, arguments.token.clone()));
    }
    let file = arguments.config.as_deref().unwrap_or(Path::new(AGENT_CONFIG));
    if arguments.config.is_none() && !file.exists() {
        bail!(
            "{AGENT_CONFIG} does not exist: give --server URL and --token TOKEN to join a cluster, or --config FILE"
        );
    }
    let mut config = AgentConfig::load(file)?;
    config.token = arguments.token.clone().or(config.token);
    Ok(config)
}

#[allow(clippy::print_stdout, reason = "the token is the command's output")]
fn print_token(arguments: &Token) -> Result<()> {
    // `keelson up` gives its server a folder of its own.
    let places = [arguments.state.join("server/join-token"), arguments.state.join("join-token")];
    let found = places.iter().find_map(|file| match std::fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        result => Some(result.with_context(|| format!("cannot read {}", file.display()))),
    });
    let Some(token) = found.transpose()? else {
        bail!(
            "there is no join token below {}: it is on the server's machine, once the server has started; --state DIR \
             says where its state is kept",
            arguments.state.display()
        );
    };
    println!("{}", token.trim());
    Ok(())
}
