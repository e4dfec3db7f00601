//! Images from static binaries: an OCI image layout in a tar archive (OCI image specification 1.1), as
//! `ctr images import` and `keelson image import` take it. The same files give the same bytes.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image of one layer, built up file by file.
pub struct Image {
    name: String,
    layer: tar::Builder<Vec<u8>>,
    config: Value,
    error: Option<io::Error>,
}

impl Image {
    /// `name` is the full reference with a tag, such as `keelson.dev/pause:1`.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            layer: tar::Builder::new(Vec::new()),
            config: json!({ "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] }),
            error: None,
        }
    }

    /// Adds a regular file owned by root; `path` has no leading slash.
    pub fn file(mut self, path: &str, mode: u32, bytes: &[u8]) -> Self {
        let mut header = header(tar::EntryType::Regular, mode);
        header.set_size(bytes.len() as u64);
        let result = self.layer.append_data(&mut header, path, bytes);
        self.note(result)
    }

    /// Adds a directory owned by root.
    pub fn directory(mut self, path: &str, mode: u32) -> Self {
        let mut header = header(tar::EntryType::Directory, mode);
        header.set_size(0);
        let result = self.layer.append_data(&mut header, path, io::empty());
        self.note(result)
    }

    /// Adds a symbolic link to `target`.
    pub fn link(mut self, path: &str, target: &str) -> Self {
        let mut header = header(tar::EntryType::Symlink, 0o777);
        header.set_size(0);
        let result = self.layer.append_link(&mut header, path, target);
        self.note(result)
    }

    /// What is run when the pod names no command.
    pub fn entrypoint(mut self, words: &[&str]) -> Self {
        self.config["Entrypoint"] = json!(words);
        self
    }

    /// The arguments when the pod names none.
    pub fn cmd(mut self, words: &[&str]) -> Self {
        self.config["Cmd"] = json!(words);
        self
    }

    /// Sets an environment variable that the pod may override.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        if let Some(Value::Array(all)) = self.config.get_mut("Env") {
            all.push(json!(format!("{name}={value}")));
        }
        self
    }

    /// `uid[:gid]` or a name of the image's own passwd file.
    pub fn user(mut self, user: &str) -> Self {
        self.config["User"] = json!(user);
        self
    }

    fn note(mut self, result: io::Result<()>) -> Self {
        self.error = self.error.or(result.err());
        self
    }

    /// The whole image as one tar archive.
    pub fn archive(mut self) -> io::Result<Vec<u8>> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let layer = self.layer.into_inner()?;
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        })
        .to_string();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, config.as_bytes()),
            "layers": [descriptor(LAYER_TYPE, &layer)],
        })
        .to_string();
        let mut entry = descriptor(MANIFEST_TYPE, manifest.as_bytes());
        entry["annotations"] = json!({ "io.containerd.image.name": self.name });
        let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();

        let mut archive = tar::Builder::new(Vec::new());
        add(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        for blob in [layer.as_slice(), config.as_bytes(), manifest.as_bytes()] {
            add(&mut archive, &format!("blobs/sha256/{}", hex(blob)), blob)?;
        }
        add(&mut archive, "index.json", index.as_bytes())?;
        archive.into_inner()
    }
}

fn header(kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn add(archive: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = header(tar::EntryType::Regular, 0o644);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, path, bytes)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Read;

    fn unpack(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(entry.path().unwrap().display().to_string(), bytes);
        }
        files
    }

    #[test]
    fn blobs_are_what_their_names_say() {
        let files = unpack(&crate::image().unwrap());
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let entry = &index["manifests"][0];
        assert_eq!(entry["annotations"]["io.containerd.image.name"], crate::IMAGE);
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
            let bytes = &files[&format!("blobs/sha256/{digest}")];
            assert_eq!(hex(bytes), digest);
            assert_eq!(descriptor["size"], bytes.len());
            bytes.clone()
        };
        let manifest: Value = serde_json::from_slice(&blob(entry)).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        assert_eq!(config["config"]["Entrypoint"], json!(["/pause"]));
        let layer = blob(&manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(&layer));
        assert_eq!(unpack(&layer)["pause"], crate::PROGRAM);
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        assert_eq!(crate::image().unwrap(), crate::image().unwrap());
    }
}
