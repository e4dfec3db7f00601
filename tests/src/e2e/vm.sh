# What an emulated machine runs: a node by `keelson up` and one pod, then the facts that the test looks at.
export KUBECONFIG=/etc/keelson/admin.kubeconfig

fact() {
    echo "fact: $1=$(echo $2)"
}

explain() {
    kubectl describe pod probe || true
    kubectl logs probe || true
    tail -20 /var/lib/keelson/containerd/containerd.log || true
}

fact kernel "$(uname -r)"
fact cgroups "$(grep -o 'cgroup[0-9]* rw' /proc/mounts)"
keelson up --address 192.168.77.2 2>&1 | cat &
until [ -s "$KUBECONFIG" ] && [ -S /run/keelson/containerd/containerd.sock ]; do sleep 0.5; done
until keelson image import /images/busybox.tar; do sleep 1; done
until kubectl get node vm; do sleep 1; done
kubectl wait --for=condition=Ready node/vm --timeout=120s
fact node Ready
kubectl apply -f /pod.yaml
kubectl wait --for=condition=Ready pod/probe --timeout=120s || { explain; exit 1; }
fact pod Ready
fact reached "$(kubectl logs probe | grep '^reached')"
fact controllers "$(cat /sys/fs/cgroup/keelson/kubepods/cgroup.controllers)"
fact memory "$(cat /sys/fs/cgroup/keelson/kubepods/pod*/memory.max)"
fact cpu "$(cat /sys/fs/cgroup/keelson/kubepods/pod*/cpu.max)"
fact commands "$(for pid in $(cat /sys/fs/cgroup/keelson/kubepods/pod*/*/cgroup.procs); do cat /proc/$pid/comm; done)"
fact links "$(ls /sys/fs/bpf/keelson/v*/links)"
