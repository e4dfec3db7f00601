//! `keelson image import`.

use crate::arguments::ImageImport;
use anyhow::Result;
use keelson_agent::config::AgentConfig;
use keelson_agent::images::import_file;
use std::path::Path;

#[allow(clippy::print_stdout, reason = "the images' names are the command's output")]
pub fn import(arguments: &ImageImport) -> Result<()> {
    let installed = Path::new(super::AGENT_CONFIG);
    let file = arguments.config.as_deref().or_else(|| installed.exists().then_some(installed));
    let socket = match file {
        Some(file) => AgentConfig::load(file)?.cri_socket(),
        None => AgentConfig::default_cri_socket(),
    };
    let import = import_file(&socket, &arguments.file, arguments.name.as_deref());
    let names = super::runtime()?.block_on(import)?;
    for name in names {
        println!("{name}");
    }
    Ok(())
}
