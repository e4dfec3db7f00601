//! Compiles `proto/cri/runtime.proto`, `proto/containerd/tasks.proto` and `proto/health/health.proto`, and writes
//! `generated.rs` into the folders of the same names in `proto/src`.
//!
//! Run it from the repository's root after a change of a .proto file; the result is committed, so that normal
//! builds need neither protoc nor this program:
//!
//! ```text
//! cargo run --manifest-path proto/gen/Cargo.toml
//! ```

use std::error::Error;
use std::path::Path;

/// Folder, file and package of each contract.
const CONTRACTS: [(&str, &str, &str); 3] = [
    ("cri", "runtime.proto", "runtime.v1"),
    ("containerd", "tasks.proto", "containerd.services.tasks.v1"),
    ("health", "health.proto", "grpc.health.v1"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let out = std::env::temp_dir().join(format!("keelson-proto-gen-{}", std::process::id()));
    std::fs::create_dir_all(&out)?;
    for (folder, file, package) in CONTRACTS {
        let descriptors = protox::compile([proto.join(folder).join(file)], [proto.join(folder)])?;
        tonic_prost_build::configure()
            .build_server(false)
            .emit_rerun_if_changed(false)
            .out_dir(&out)
            .compile_fds(descriptors)?;
        let text = std::fs::read_to_string(out.join(format!("{package}.rs")))?;
        let header = format!("// Generated from proto/{folder}/{file} by proto/gen; do not edit.\n");
        std::fs::write(proto.join("src").join(folder).join("generated.rs"), format!("{header}{text}"))?;
    }
    std::fs::remove_dir_all(&out)?;
    Ok(())
}
