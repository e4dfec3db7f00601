//! Labels and annotations by which sandboxes and containers are found again after a restart of the agent.
//! They are the ones that every Kubernetes tool knows.

pub const POD_NAME: &str = "io.kubernetes.pod.name";
pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
pub const POD_UID: &str = "io.kubernetes.pod.uid";
pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";

pub const CONTAINER_HASH: &str = "io.kubernetes.container.hash";
pub const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
pub const TERMINATION_PATH: &str = "io.kubernetes.container.terminationMessagePath";
pub const TERMINATION_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
/// Where the termination message lies on the host: ours, since CRI 1.6 reports no mounts' sources by purpose.
pub const TERMINATION_HOST_PATH: &str = "keelson.dev/termination-message-host-path";
pub const POD_GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
