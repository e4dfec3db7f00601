//! containerd's configuration file, version 2: read by 1.6 and, translated by itself, by 2.x.

use super::Layout;
use keelson_pause::IMAGE;

/// What the configuration depends on besides paths.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// Whether we may lower a process's OOM score (CAP_SYS_RESOURCE); without it every sandbox would fail.
    pub may_set_oom_score: bool,
}

/// Renders the file.
pub fn render(layout: &Layout, traits: Traits) -> String {
    format!(
        r#"# Written by the keelson agent at each start.
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  restrict_oom_score_adj = {restrict}
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  netns_mounts_under_state_dir = true
  max_concurrent_downloads = 3

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "{state}/runc"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_bin}"
    conf_dir = "{cni_conf}"
    max_conf_num = 1
"#,
        root = layout.root.display(),
        state = layout.state.display(),
        socket = layout.socket.display(),
        restrict = !traits.may_set_oom_score,
        cni_bin = layout.cni_bin_dir.display(),
        cni_conf = layout.cni_conf_dir.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn depends_on_the_machine() {
        let layout = Layout::new(Path::new("/var/lib/keelson"), Path::new("/run/keelson"));
        let text = render(&layout, Traits { may_set_oom_score: false });
        assert!(text.contains("restrict_oom_score_adj = true"));
        assert!(text.contains("address = \"/run/keelson/containerd/containerd.sock\""));
        assert!(text.contains("sandbox_image = \"keelson.dev/pause:1\""));
        let text = render(&layout, Traits { may_set_oom_score: true });
        assert!(text.contains("restrict_oom_score_adj = false"));
    }
}
