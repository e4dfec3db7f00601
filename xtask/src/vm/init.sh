#!/bin/sh
# The first process of an emulated machine. It makes a machine as a node wants one, with the cgroup v2 tree alone,
# runs /scenario, says how that ended and turns the machine off.
if [ "$1" != moved ]; then
    # A runtime moves a container's root by pivot_root(2), which cannot be done from the kernel's first mount; a
    # second mount of the same files will do.
    mkdir /new
    mount --bind / /new
    cd /new
    mount --move . /
    exec chroot . /init moved
fi
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p /proc /sys /dev /run
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
exec </dev/null >/dev/console 2>&1
for module in $(cat /modules/order); do
    insmod "/modules/$module.ko" || echo "module $module is not loaded"
done
hostname vm
ip link set lo up
ip link add eth0 type dummy
ip address add 192.168.77.2/24 dev eth0
ip link set eth0 up
ip route add default via 192.168.77.1
sh -e /scenario
echo "machine: scenario ended with code $?"
poweroff -f
