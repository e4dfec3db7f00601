//! The version of Kubernetes whose API is served, in one place.

/// The version as a literal, so that others can be made of it with `concat!`.
#[macro_export]
macro_rules! kubernetes_version {
    () => {
        "v1.36.2"
    };
}

/// What `/version` says.
pub const KUBERNETES: &str = kubernetes_version!();
