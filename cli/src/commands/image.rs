//! `keelson image import`.

use crate::arguments::ImageImport;
use anyhow::Result;
use keelson_agent::config::AgentConfig;
use keelson_agent::images::import_file;

#[allow(clippy::print_stdout, reason = "the images' names are the command's output")]
pub fn import(arguments: &ImageImport) -> Result<()> {
    let socket = match &arguments.config {
        Some(file) => AgentConfig::load(file)?.cri_socket(),
        None => AgentConfig::default_cri_socket(),
    };
    let names = super::runtime()?.block_on(import_file(&socket, &arguments.file))?;
    for name in names {
        println!("{name}");
    }
    Ok(())
}
