//! Compiles `proto/cri/runtime.proto` and writes `proto/src/cri/generated.rs`.
//!
//! Run it from the repository's root after a change of the .proto file; the result is committed, so that normal
//! builds need neither protoc nor this program:
//!
//! ```text
//! cargo run --manifest-path proto/gen/Cargo.toml
//! ```

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let out = std::env::temp_dir().join(format!("keelson-proto-gen-{}", std::process::id()));
    std::fs::create_dir_all(&out)?;
    let descriptors = protox::compile([proto.join("cri/runtime.proto")], [proto.join("cri")])?;
    tonic_prost_build::configure()
        .build_server(false)
        .emit_rerun_if_changed(false)
        .out_dir(&out)
        .compile_fds(descriptors)?;
    let text = std::fs::read_to_string(out.join("runtime.v1.rs"))?;
    let header = "// Generated from proto/cri/runtime.proto by proto/gen; do not edit.\n";
    std::fs::write(proto.join("src/cri/generated.rs"), format!("{header}{text}"))?;
    std::fs::remove_dir_all(&out)?;
    Ok(())
}
