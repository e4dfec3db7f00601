//! The rows.

/// Name and lines of each row.
pub const ROWS: &[(&str, &[&str])] = &[
    (
        "pods of a node reach each other",
        &[
            "from a: tcp 10.244.1.2:1000 > 10.244.1.3:80 S => pod b: same",
            "from b: tcp 10.244.1.3:80 > 10.244.1.2:1000 SA => pod a: same",
            "from a: ping 10.244.1.2 > 10.244.1.3 7 => pod b: same",
            "from b: pong 10.244.1.3 > 10.244.1.2 7 => pod a: same",
            "from a: sctp 10.244.1.2:1000 > 10.244.1.3:80 => pod b: same",
            "from a: gre 10.244.1.2 > 10.244.1.3 => pod b: same",
        ],
    ),
    (
        "a pod speaks for itself only",
        &[
            "from a: udp 10.244.1.3:1000 > 10.244.2.5:80 => drop spoofed",
            "from a: udp 192.168.7.1:1000 > 10.244.1.3:80 => drop spoofed",
            "from a: udp 10.244.1.77:1000 > 10.244.1.3:80 => drop spoofed",
        ],
    ),
    (
        "a service turns to its backend and back",
        &[
            "from a: tcp 10.244.1.2:1000 > 10.96.1.1:80 S => pod b: tcp 10.244.1.2:1000 > 10.244.1.3:8080 S",
            "from b: tcp 10.244.1.3:8080 > 10.244.1.2:1000 SA => pod a: tcp 10.96.1.1:80 > 10.244.1.2:1000 SA",
            "from a: tcp 10.244.1.2:1000 > 10.96.1.1:80 A => pod b: tcp 10.244.1.2:1000 > 10.244.1.3:8080 A",
        ],
    ),
    (
        "a service by UDP, with and without a checksum, and with options",
        &[
            "from a: udp 10.244.1.2:1000 > 10.96.1.1:80 => pod b: udp 10.244.1.2:1000 > 10.244.1.3:8080",
            "from a: udp 10.244.1.2:1001 > 10.96.1.1:80 no-checksum => pod b: udp 10.244.1.2:1001 > 10.244.1.3:8080 no-checksum",
            "from a: udp 10.244.1.2:1002 > 10.96.1.1:80 options => pod b: udp 10.244.1.2:1002 > 10.244.1.3:8080 options",
        ],
    ),
    (
        "a pod that reaches itself by a service sees its gateway",
        &[
            "from b: tcp 10.244.1.3:1000 > 10.96.1.1:80 S => pod b: tcp 169.254.1.1:1000 > 10.244.1.3:8080 S",
            "from b: tcp 10.244.1.3:8080 > 169.254.1.1:1000 SA => pod b: tcp 10.96.1.1:80 > 10.244.1.3:1000 SA",
        ],
    ),
    (
        "two flows of one port to one backend do not mix",
        &[
            "from a: tcp 10.244.1.2:1000 > 10.96.1.1:80 S => pod b: tcp 10.244.1.2:1000 > 10.244.1.3:8080 S",
            "from a: tcp 10.244.1.2:1000 > 10.244.1.3:8080 S => pod b: tcp 10.244.1.2:NAT > 10.244.1.3:8080 S",
            "from b: tcp 10.244.1.3:8080 > 10.244.1.2:NAT SA => pod a: tcp 10.244.1.3:8080 > 10.244.1.2:1000 SA",
            "from b: tcp 10.244.1.3:8080 > 10.244.1.2:1000 SA => pod a: tcp 10.96.1.1:80 > 10.244.1.2:1000 SA",
        ],
    ),
    (
        "pods of another node are reached through the tunnel",
        &[
            "from a: udp 10.244.1.2:1000 > 10.244.2.5:53 => tunnel 192.168.7.2: same",
            "from tunnel: udp 10.244.2.5:53 > 10.244.1.2:1000 => pod a: same",
            "from tunnel: tcp 10.244.2.6:1000 > 10.244.1.3:80 S => pod b: same",
            "from b: tcp 10.244.1.3:80 > 10.244.2.6:1000 SA => tunnel 192.168.7.2: same",
        ],
    ),
    (
        "a service with its backend on another node",
        &[
            "from a: tcp 10.244.1.2:1000 > 10.96.1.2:80 S => tunnel 192.168.7.2: tcp 10.244.1.2:1000 > 10.244.2.5:8080 S",
            "from tunnel: tcp 10.244.2.5:8080 > 10.244.1.2:1000 SA => pod a: tcp 10.96.1.2:80 > 10.244.1.2:1000 SA",
        ],
    ),
    (
        "out of the cluster under the node's address",
        &[
            "from a: tcp 10.244.1.2:1000 > 203.0.113.9:443 S => outer: tcp 192.168.7.1:NAT > 203.0.113.9:443 S",
            "from outside: tcp 203.0.113.9:443 > 192.168.7.1:NAT SA => pod a: tcp 203.0.113.9:443 > 10.244.1.2:1000 SA",
            "from a: tcp 10.244.1.2:1000 > 203.0.113.9:443 A => outer: tcp 192.168.7.1:NAT > 203.0.113.9:443 A",
        ],
    ),
    (
        "a ping out of the cluster",
        &[
            "from a: ping 10.244.1.2 > 203.0.113.9 7 => outer: ping 192.168.7.1 > 203.0.113.9 NAT",
            "from outside: pong 203.0.113.9 > 192.168.7.1 NAT => pod a: pong 203.0.113.9 > 10.244.1.2 7",
        ],
    ),
    (
        "what has no port cannot be masqueraded",
        &[
            "from a: gre 10.244.1.2 > 203.0.113.9 => drop protocol",
            "from a: icmp 10.244.1.2 > 203.0.113.9 => drop protocol",
            "from a: sctp 10.244.1.2:1 > 203.0.113.9:2 => drop protocol",
        ],
    ),
    (
        "a service outside the cluster",
        &[
            "from a: tcp 10.244.1.2:1000 > 10.96.1.5:80 S => outer: tcp 192.168.7.1:NAT > 203.0.113.9:443 S",
            "from outside: tcp 203.0.113.9:443 > 192.168.7.1:NAT SA => pod a: tcp 10.96.1.5:80 > 10.244.1.2:1000 SA",
        ],
    ),
    (
        "services that cannot be reached are refused",
        &[
            "from a: tcp 10.244.1.2:1000 > 10.96.1.3:80 S => drop no_backend",
            "from a: tcp 10.244.1.2:1000 > 10.96.1.1:81 S => drop no_service",
            "from a: tcp 10.244.1.2:1000 > 10.96.9.9:80 S => drop no_service",
            "from outside: tcp 192.168.7.9:1000 > 192.168.7.1:30082 S => drop no_backend",
            "from a: sctp 10.244.1.2:1000 > 10.96.1.1:80 => drop protocol",
        ],
    ),
    (
        "addresses of the cluster without a pod are refused",
        &[
            "from a: tcp 10.244.1.2:1000 > 10.244.1.77:80 S => drop no_pod",
            "from a: tcp 10.244.1.2:1000 > 10.244.9.1:80 S => drop no_pod",
            "from tunnel: tcp 10.244.2.5:1000 > 10.244.1.77:80 S => drop no_pod",
            "from tunnel: tcp 10.244.2.5:1000 > 10.244.2.6:80 S => drop no_pod",
            "from tunnel: tcp 10.244.2.5:1000 > 203.0.113.9:80 S => drop no_pod",
        ],
    ),
    (
        "the node itself and its DNS address",
        &[
            "from a: tcp 10.244.1.2:1000 > 192.168.7.1:10250 S => pass: same",
            "from a: udp 10.244.1.2:1000 > 10.96.0.10:53 => pass: same",
            "from a: udp 10.244.1.2:1000 > 10.96.0.10:53 frag 0x2000 => pass: same",
            "from tunnel: tcp 10.244.2.5:1000 > 192.168.7.1:10250 S => pass: same",
        ],
    ),
    (
        "a host process behind a service",
        &[
            "from a: tcp 10.244.1.2:1000 > 10.96.1.4:80 S => pass: tcp 169.254.1.1:1000 > 192.168.7.1:9090 S",
            "to tunnel: tcp 192.168.7.1:9090 > 169.254.1.1:1000 SA => pod a: tcp 10.96.1.4:80 > 10.244.1.2:1000 SA",
            "from b: tcp 10.244.1.3:1000 > 10.96.1.4:80 S => pass: tcp 169.254.1.1:NAT > 192.168.7.1:9090 S",
            "to tunnel: tcp 192.168.7.1:9090 > 169.254.1.1:NAT SA => pod b: tcp 10.96.1.4:80 > 10.244.1.3:1000 SA",
            "to tunnel: tcp 192.168.7.1:9090 > 169.254.1.1:1 SA => drop no_pod",
        ],
    ),
    (
        "a host process of another node",
        &[
            "from a: tcp 10.244.1.2:1000 > 192.168.7.2:22 S => tunnel 192.168.7.2: same",
            "from tunnel: tcp 192.168.7.2:22 > 10.244.1.2:1000 SA => pod a: same",
            "from a: tcp 10.244.1.2:1001 > 10.96.1.6:80 S => tunnel 192.168.7.2: tcp 10.244.1.2:1001 > 192.168.7.2:9090 S",
        ],
    ),
    (
        "the host reaches pods elsewhere",
        &[
            "to tunnel: tcp 192.168.7.1:1000 > 10.244.2.5:80 S => pass: same",
            "to tunnel: tcp 192.168.7.1:1000 > 10.244.1.77:80 S => drop no_pod",
            "to tunnel: tcp 192.168.7.1:1000 > 10.244.9.1:80 S => drop no_pod",
        ],
    ),
    (
        "a NodePort with its backend here keeps the client's address",
        &[
            "from outside: tcp 192.168.7.9:1000 > 192.168.7.1:30080 S => pod b: tcp 192.168.7.9:1000 > 10.244.1.3:8080 S",
            "from b: tcp 10.244.1.3:8080 > 192.168.7.9:1000 SA => outer: tcp 192.168.7.1:30080 > 192.168.7.9:1000 SA",
        ],
    ),
    (
        "a NodePort with its backend elsewhere answers through this node",
        &[
            "from outside: tcp 192.168.7.9:1000 > 192.168.7.1:30081 S => tunnel 192.168.7.2: tcp 192.168.7.1:NAT > 10.244.2.5:8080 S",
            "from tunnel: tcp 10.244.2.5:8080 > 192.168.7.1:NAT SA => outer: tcp 192.168.7.1:30081 > 192.168.7.9:1000 SA",
        ],
    ),
    (
        "a NodePort with a host process behind it",
        &[
            "from outside: tcp 192.168.7.9:1000 > 192.168.7.1:30083 S => pass: tcp 192.168.7.9:1000 > 192.168.7.1:9090 S",
            "to outside: tcp 192.168.7.1:9090 > 192.168.7.9:1000 SA => pass: tcp 192.168.7.1:30083 > 192.168.7.9:1000 SA",
            "from outside: tcp 192.168.7.9:1001 > 192.168.7.1:30085 S => outer: tcp 192.168.7.1:NAT > 192.168.7.2:9090 S",
            "from outside: tcp 192.168.7.2:9090 > 192.168.7.1:NAT SA => outer: tcp 192.168.7.1:30085 > 192.168.7.9:1001 SA",
        ],
    ),
    (
        "a NodePort asked by a pod, on any node's address",
        &[
            "from a: tcp 10.244.1.2:1000 > 192.168.7.1:30080 S => pod b: tcp 10.244.1.2:1000 > 10.244.1.3:8080 S",
            "from a: tcp 10.244.1.2:1001 > 192.168.7.2:30080 S => pod b: tcp 10.244.1.2:1001 > 10.244.1.3:8080 S",
        ],
    ),
    (
        "what is not ours passes",
        &[
            "from outside: tcp 192.168.7.9:1000 > 192.168.7.1:22 S => pass: same",
            "from outside: tcp 192.168.7.9:1000 > 192.168.7.77:30080 S => pass: same",
            "from outside: udp 192.168.7.9:1000 > 192.168.7.1:8472 => pass: same",
            "from outside: udp 192.168.7.9:1000 > 192.168.7.1:30080 frag 0x2000 => pass: same",
            "to outside: tcp 192.168.7.1:22 > 192.168.7.9:1000 SA => pass: same",
        ],
    ),
    (
        "fragments travel where nothing is translated",
        &[
            "from a: udp 10.244.1.2:1000 > 10.244.1.3:80 frag 0x2000 => pod b: same",
            "from a: udp 10.244.1.2:1000 > 10.244.1.3:80 frag 0x0010 => pod b: same",
            "from a: udp 10.244.1.2:1000 > 10.244.2.5:80 frag 0x2000 => tunnel 192.168.7.2: same",
            "from a: udp 10.244.1.2:1000 > 10.96.1.1:80 frag 0x2000 => drop fragment",
            "from a: udp 10.244.1.2:1000 > 203.0.113.9:80 frag 0x2000 => drop fragment",
            "from tunnel: udp 10.244.2.5:1000 > 10.244.1.3:80 frag 0x2000 => pod b: same",
            "from tunnel: udp 10.244.2.5:1000 > 203.0.113.9:80 frag 0x2000 => drop no_pod",
        ],
    ),
    (
        "a connection that ends leaves room for the next",
        &[
            "from a: tcp 10.244.1.2:1000 > 10.96.1.1:80 S => pod b: tcp 10.244.1.2:1000 > 10.244.1.3:8080 S",
            "from b: tcp 10.244.1.3:8080 > 10.244.1.2:1000 FA => pod a: tcp 10.96.1.1:80 > 10.244.1.2:1000 FA",
            "from a: tcp 10.244.1.2:1000 > 10.96.1.1:80 A => pod b: tcp 10.244.1.2:1000 > 10.244.1.3:8080 A",
            "from a: tcp 10.244.1.2:1000 > 10.96.1.1:80 S => pod b: tcp 10.244.1.2:1000 > 10.244.1.3:8080 S",
        ],
    ),
];
