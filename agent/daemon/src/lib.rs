//! Assembly of a node: containerd, join, kubelet, data plane and DNS.
