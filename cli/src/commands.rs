//! From arguments to running parts.

mod image;
mod up;
mod version;

use crate::arguments::{Agent, Command, Image, Server, Token};
use crate::process::{Ending, wait_for_end};
use anyhow::{Context, Result};
use keelson_agent::config::AgentConfig;
use keelson_server::{Flags, ServerConfig};
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
    let config = match (&arguments.server, &arguments.token) {
        (Some(server), Some(token)) => AgentConfig::joining(server, token),
        _ => AgentConfig::load(&arguments.config)?,
    };
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

#[allow(clippy::print_stdout, reason = "the token is the command's output")]
fn print_token(arguments: &Token) -> Result<()> {
    let file = arguments.state.join("join-token");
    let token = std::fs::read_to_string(&file).with_context(|| {
        format!("cannot read {}; is this the server's machine, and are you root?", file.display())
    })?;
    println!("{}", token.trim());
    Ok(())
}
