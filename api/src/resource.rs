//! Coordinates of the resources that the cluster's own components use.

/// Where a resource is served: group, version, plural name, kind and scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    /// The plural name as it stands in a path.
    pub plural: &'static str,
    pub kind: &'static str,
    pub namespaced: bool,
}

macro_rules! resources {
    ($($(#[$doc:meta])* $name:ident = $group:literal $version:literal $plural:literal $kind:literal $scope:ident;)*) => {
        impl Resource {
            $($(#[$doc])* pub const $name: Resource = Resource {
                group: $group, version: $version, plural: $plural, kind: $kind, namespaced: resources!(@ $scope),
            };)*
        }
    };
    (@ namespaced) => { true };
    (@ cluster) => { false };
}

resources! {
    NAMESPACES = "" "v1" "namespaces" "Namespace" cluster;
    NODES = "" "v1" "nodes" "Node" cluster;
    PODS = "" "v1" "pods" "Pod" namespaced;
    SERVICES = "" "v1" "services" "Service" namespaced;
    ENDPOINTS = "" "v1" "endpoints" "Endpoints" namespaced;
    CONFIG_MAPS = "" "v1" "configmaps" "ConfigMap" namespaced;
    SECRETS = "" "v1" "secrets" "Secret" namespaced;
    SERVICE_ACCOUNTS = "" "v1" "serviceaccounts" "ServiceAccount" namespaced;
    EVENTS = "" "v1" "events" "Event" namespaced;
    ENDPOINT_SLICES = "discovery.k8s.io" "v1" "endpointslices" "EndpointSlice" namespaced;
    LEASES = "coordination.k8s.io" "v1" "leases" "Lease" namespaced;
    DEPLOYMENTS = "apps" "v1" "deployments" "Deployment" namespaced;
    REPLICA_SETS = "apps" "v1" "replicasets" "ReplicaSet" namespaced;
    ROLES = "rbac.authorization.k8s.io" "v1" "roles" "Role" namespaced;
    ROLE_BINDINGS = "rbac.authorization.k8s.io" "v1" "rolebindings" "RoleBinding" namespaced;
    CLUSTER_ROLES = "rbac.authorization.k8s.io" "v1" "clusterroles" "ClusterRole" cluster;
    CLUSTER_ROLE_BINDINGS = "rbac.authorization.k8s.io" "v1" "clusterrolebindings" "ClusterRoleBinding" cluster;
    CERTIFICATE_SIGNING_REQUESTS =
        "certificates.k8s.io" "v1" "certificatesigningrequests" "CertificateSigningRequest" cluster;
    NETWORK_POLICIES = "networking.k8s.io" "v1" "networkpolicies" "NetworkPolicy" namespaced;
    TOKEN_REVIEWS = "authentication.k8s.io" "v1" "tokenreviews" "TokenReview" cluster;
    SELF_SUBJECT_REVIEWS = "authentication.k8s.io" "v1" "selfsubjectreviews" "SelfSubjectReview" cluster;
    SUBJECT_ACCESS_REVIEWS = "authorization.k8s.io" "v1" "subjectaccessreviews" "SubjectAccessReview" cluster;
    SELF_SUBJECT_ACCESS_REVIEWS =
        "authorization.k8s.io" "v1" "selfsubjectaccessreviews" "SelfSubjectAccessReview" cluster;
    SELF_SUBJECT_RULES_REVIEWS =
        "authorization.k8s.io" "v1" "selfsubjectrulesreviews" "SelfSubjectRulesReview" cluster;
    LOCAL_SUBJECT_ACCESS_REVIEWS =
        "authorization.k8s.io" "v1" "localsubjectaccessreviews" "LocalSubjectAccessReview" namespaced;
}

impl Resource {
    /// `v1` or `apps/v1`: the `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The path of the collection, or of one object when `name` is given. `namespace` is left out for
    /// cluster-scoped resources and for lists over all namespaces.
    pub fn path(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if let Some(namespace) = namespace.filter(|n| self.namespaced && !n.is_empty()) {
            path.push_str("/namespaces/");
            path.push_str(namespace);
        }
        path.push('/');
        path.push_str(self.plural);
        if let Some(name) = name {
            path.push('/');
            path.push_str(name);
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(Resource::PODS.path(None, None), "/api/v1/pods");
        assert_eq!(Resource::PODS.path(Some("a"), Some("b")), "/api/v1/namespaces/a/pods/b");
        assert_eq!(Resource::NODES.path(Some("a"), Some("b")), "/api/v1/nodes/b");
        assert_eq!(
            Resource::LEASES.path(Some("a"), None),
            "/apis/coordination.k8s.io/v1/namespaces/a/leases"
        );
    }
}
