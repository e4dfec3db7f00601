//! The pause image: the program that holds a pod sandbox open, and the archive that an image made of static
//! binaries is handed over in. A node starts without a registry because of it.
//!
//! Never runs anything and never talks to a runtime; `program.rs` is the source of the program.
#![forbid(unsafe_code)]

pub mod oci;

/// The name under which nodes know the pause image.
pub const IMAGE: &str = "keelson.dev/pause:1";

/// The pause image as an archive for `ctr images import`.
pub fn image() -> std::io::Result<Vec<u8>> {
    oci::Image::new(IMAGE).file("pause", 0o755, PROGRAM).entrypoint(&["/pause"]).user("65535:65535").archive()
}

/// A static x86-64 ELF executable without libc.
pub const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pause"));

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    #[test]
    fn is_small() {
        assert_eq!(&PROGRAM[..4], b"\x7fELF");
        assert!(PROGRAM.len() < 16 * 1024, "{} bytes", PROGRAM.len());
    }

    /// It waits until it is told to end, and then ends at once with 0.
    #[test]
    fn ends_on_sigterm() {
        let path = std::env::temp_dir().join(format!("keelson-pause-{}", std::process::id()));
        {
            let mut file = std::fs::File::create(&path).unwrap();
            file.write_all(PROGRAM).unwrap();
            file.set_permissions(std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut child = Command::new(&path).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let early = child.try_wait().unwrap();
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        let status = wait(&mut child);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(early, None, "it must not end by itself");
        assert_eq!(status, Some(0));
    }

    fn wait(child: &mut Child) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        None
    }
}
