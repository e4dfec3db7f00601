//! `cargo xtask image`: image archives of the sample app and of the tests, made from static binaries.

use crate::repo;
use crate::run::{output, run, step};
use anyhow::{Context, Result};
use keelson_pause::oci::Image;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// The sample app's image, of which there are [`WEBSERVER_VERSIONS`].
pub const WEBSERVER: &str = "keelson.dev/webserver";
/// Its tags: the second is there to be rolled out over the first.
pub const WEBSERVER_VERSIONS: [&str; 2] = ["1", "2"];
/// A shell and small tools, for tests and for looking around.
pub const BUSYBOX: &str = "keelson.dev/busybox:1";

const BUSYBOX_PROGRAM: &str = "/bin/busybox";

/// Where the archives are put.
pub fn dir() -> PathBuf {
    repo::target().join("images")
}

/// Makes every image and returns the archives.
pub fn build_all() -> Result<Vec<PathBuf>> {
    step("making images");
    run(Command::new("cargo").current_dir(repo::root()).args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "keelson-webserver",
    ]))?;
    // All archives of the folder are handed to nodes: one of an earlier checkout must not lie there.
    match fs::remove_dir_all(dir()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot empty {}", dir().display()));
        }
        _ => fs::create_dir_all(dir())?,
    }
    let mut archives = vec![busybox()?];
    for version in WEBSERVER_VERSIONS {
        archives.push(webserver(version)?);
    }
    Ok(archives)
}

fn webserver(version: &str) -> Result<PathBuf> {
    let program = fs::read(repo::program("keelson-webserver", false))?;
    let image = Image::new(&format!("{WEBSERVER}:{version}"))
        .file("webserver", 0o755, &program)
        .entrypoint(&["/webserver"])
        .env("VERSION", version)
        .user("65534:65534")
        .archive()?;
    write(&format!("webserver-{version}.tar"), &image)
}

fn busybox() -> Result<PathBuf> {
    let program = fs::read(BUSYBOX_PROGRAM).context("busybox-static is not installed: cargo xtask setup")?;
    let mut image = Image::new(BUSYBOX)
        .directory("bin", 0o755)
        .directory("tmp", 0o1777)
        .directory("root", 0o700)
        .directory("etc", 0o755)
        .file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
        .file("etc/group", 0o644, b"root:x:0:\nnobody:x:65534:\n")
        .file("bin/busybox", 0o755, &program)
        .cmd(&["sh"]);
    for applet in output(Command::new(BUSYBOX_PROGRAM).arg("--list"))?.lines() {
        if applet != "busybox" {
            image = image.link(&format!("bin/{applet}"), "busybox");
        }
    }
    write("busybox.tar", &image.archive()?)
}

fn write(name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let file: PathBuf = Path::new(&dir()).join(name);
    fs::write(&file, bytes)?;
    Ok(file)
}
