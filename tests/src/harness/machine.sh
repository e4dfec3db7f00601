# Makes a machine of namespaces and becomes its first process; the network is the caller's. Arguments:
#   DIR    where its files are kept: what it changes of /etc, its /var/lib, its first program `init`
#   NAME   its host name
#   GROUP  its cgroup below each hierarchy's root, which is the root of what it sees
set -eu
dir=$1 name=$2 group=$3

if [ "${4:-}" != inside ]; then
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
        [ -e "$hierarchy/cgroup.procs" ] || continue
        below=$hierarchy
        for part in $(echo "$group" | tr / ' '); do
            above=$below below=$below/$part
            mkdir -p "$below"
            # A cpuset of the first version takes processes once it has processors and memory.
            for file in cpuset.cpus cpuset.mems; do
                [ ! -e "$hierarchy/cgroup.clone_children" ] || [ ! -e "$above/$file" ] || cat "$above/$file" >"$below/$file"
            done
        done
        echo $$ >"$below/cgroup.procs"
    done
    exec unshare --mount --uts --ipc --pid --cgroup --fork --kill-child --propagation private \
        sh "$0" "$dir" "$name" "$group" inside
fi

hostname "$name"
mkdir -p "$dir/etc" "$dir/etc.work" "$dir/lib"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$dir/etc,workdir=$dir/etc.work" /etc
rm -rf /etc/keelson
hierarchies=$(awk '$3 ~ /^cgroup2?$/ { print $2, $3, $4 }' /proc/self/mounts)
mount -t proc proc /proc
mount -t sysfs sysfs /sys
# One tree of the second version alone lies at the root itself.
case "$hierarchies" in "/sys/fs/cgroup cgroup2 "*) ;; *) mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup ;; esac
echo "$hierarchies" | while read -r at kind options; do
    mkdir -p "$at"
    if [ "$kind" = cgroup2 ]; then
        mount -t cgroup2 cgroup2 "$at"
        # No process beside folders: the root of a real machine is free of this rule, that of a namespace is not.
        mkdir -p "$at/init"
        echo $$ >"$at/init/cgroup.procs"
    else
        which=$(echo "$options" | tr , '\n' | grep -vE '^(rw|relatime|nosuid|nodev|noexec|xattr)$' | paste -sd, -)
        case "$which" in name=*) which=none,$which ;; esac
        mount -t cgroup -o "$which" cgroup "$at"
    fi
done
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/lock
# Its folder may be hidden by what is mounted next.
cp "$dir/init" /run/init
mount --bind "$dir/lib" /var/lib
exec /run/init
