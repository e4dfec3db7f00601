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
            "from a: tcp 10.244.1.2:1000 > 10.96.1.1:81 S => drop no_service",
            "from a: tcp 10.244.1.2:1000 > 10.96.9.9:80 S => drop no_service",
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
            "to outside: tcp 192.168.7.1:22 > 192.168.7.9:1000 SA => pass: same",
        ],
    ),
    (
        "a service without endpoints answers a pod at once",
        &[
            "from a: tcp 10.244.1.2:1000 > 10.96.1.3:80 S => pod a: reset 10.96.1.3:80 > 10.244.1.2:1000 RA seq 0 ack 9",
            "from a: tcp 10.244.1.2:1000 > 10.96.1.3:80 A => pod a: reset 10.96.1.3:80 > 10.244.1.2:1000 R seq 2 ack 0",
            "from a: tcp 10.244.1.2:1000 > 10.96.1.3:80 F => pod a: reset 10.96.1.3:80 > 10.244.1.2:1000 RA seq 0 ack 9",
            "from a: tcp 10.244.1.2:1000 > 10.96.1.3:80 R => drop no_backend",
            "from a: tcp 10.244.1.2:1000 > 10.96.1.3:80 S options => drop no_backend",
            "from a: udp 10.244.1.2:1000 > 10.96.1.3:80 => pod a: refused 10.96.1.3 > 10.244.1.2 3 3 about udp 10.244.1.2:1000 > 10.96.1.3:80",
            "from a: sctp 10.244.1.2:1000 > 10.96.1.3:80 => pod a: refused 10.96.1.3 > 10.244.1.2 3 3 about sctp 10.244.1.2:1000 > 10.96.1.3:80",
            "from a: udp 10.244.1.2:1000 > 192.168.7.2:30082 => pod a: refused 192.168.7.2 > 10.244.1.2 3 3 about udp 10.244.1.2:1000 > 192.168.7.2:30082",
        ],
    ),
    (
        "a service without endpoints answers who is outside",
        &[
            "from outside: tcp 192.168.7.9:1000 > 192.168.7.1:30082 S => outer: reset 192.168.7.1:30082 > 192.168.7.9:1000 RA seq 0 ack 9",
            "from outside: udp 192.168.7.9:1000 > 192.168.7.1:30082 => outer: refused 192.168.7.1 > 192.168.7.9 3 3 about udp 192.168.7.9:1000 > 192.168.7.1:30082",
        ],
    ),
    (
        "an external address is a service for everybody",
        &[
            "from outside: tcp 192.168.7.9:1000 > 198.51.100.7:80 S => pod b: tcp 192.168.7.9:1000 > 10.244.1.3:8080 S",
            "from b: tcp 10.244.1.3:8080 > 192.168.7.9:1000 SA => outer: tcp 198.51.100.7:80 > 192.168.7.9:1000 SA",
            "from a: tcp 10.244.1.2:1000 > 198.51.100.7:80 S => pod b: tcp 10.244.1.2:1000 > 10.244.1.3:8080 S",
            "from outside: tcp 192.168.7.9:1000 > 198.51.100.7:81 S => pass: same",
            "from outside: tcp 192.168.7.9:1000 > 10.96.1.8:80 S => pass: same",
        ],
    ),
    (
        "the answer to another node goes out as the question came in",
        &[
            "from outside: tcp 192.168.7.2:1000 > 198.51.100.7:80 S => pod b: tcp 192.168.7.2:1000 > 10.244.1.3:8080 S",
            "from b: tcp 10.244.1.3:8080 > 192.168.7.2:1000 SA => outer: tcp 198.51.100.7:80 > 192.168.7.2:1000 SA",
        ],
    ),
    (
        "a policy that keeps packets here keeps the client's address",
        &[
            "from outside: tcp 192.168.7.9:1000 > 192.168.7.1:30088 S => pod b: tcp 192.168.7.9:1000 > 10.244.1.3:8080 S",
            "from b: tcp 10.244.1.3:8080 > 192.168.7.9:1000 SA => outer: tcp 192.168.7.1:30088 > 192.168.7.9:1000 SA",
            "from outside: udp 192.168.7.9:1000 > 198.51.100.8:80 => pod b: udp 192.168.7.9:1000 > 10.244.1.3:8080",
            "from b: udp 10.244.1.3:8080 > 192.168.7.9:1000 => outer: udp 198.51.100.8:80 > 192.168.7.9:1000",
            "from outside: tcp 192.168.7.9:1000 > 192.168.7.1:30089 S => drop no_local_backend",
            "from a: tcp 10.244.1.2:1000 > 192.168.7.1:30089 S => tunnel 192.168.7.2: tcp 10.244.1.2:1000 > 10.244.2.5:8080 S",
        ],
    ),
    (
        "a pod's port of the node",
        &[
            "from outside: tcp 192.168.7.9:1000 > 192.168.7.1:8099 S => pod b: tcp 192.168.7.9:1000 > 10.244.1.3:8080 S",
            "from b: tcp 10.244.1.3:8080 > 192.168.7.9:1000 SA => outer: tcp 192.168.7.1:8099 > 192.168.7.9:1000 SA",
            "from a: udp 10.244.1.2:1000 > 192.168.7.1:8099 => pod b: udp 10.244.1.2:1000 > 10.244.1.3:8080",
            "from b: tcp 10.244.1.3:1000 > 192.168.7.1:8099 S => pod b: tcp 169.254.1.1:1000 > 10.244.1.3:8080 S",
            "from tunnel: tcp 10.244.2.5:1000 > 192.168.7.1:8099 S => pod b: tcp 10.244.2.5:1000 > 10.244.1.3:8080 S",
            "from b: tcp 10.244.1.3:8080 > 10.244.2.5:1000 SA => tunnel 192.168.7.2: tcp 192.168.7.1:8099 > 10.244.2.5:1000 SA",
            "from outside: tcp 192.168.7.9:1000 > 192.168.7.1:8098 S => pass: same",
        ],
    ),
    (
        "errors of a translated flow, both directions",
        &[
            "from a: udp 10.244.1.2:1000 > 10.96.1.1:80 => pod b: udp 10.244.1.2:1000 > 10.244.1.3:8080",
            "from b: error 10.244.1.3 > 10.244.1.2 3 3 about udp 10.244.1.2:1000 > 10.244.1.3:8080 => pod a: error 10.96.1.1 > 10.244.1.2 3 3 about udp 10.244.1.2:1000 > 10.96.1.1:80",
            "from b: udp 10.244.1.3:8080 > 10.244.1.2:1000 => pod a: udp 10.96.1.1:80 > 10.244.1.2:1000",
            "from a: error 10.244.1.2 > 10.96.1.1 3 3 about udp 10.96.1.1:80 > 10.244.1.2:1000 => pod b: error 10.244.1.2 > 10.244.1.3 3 3 about udp 10.244.1.3:8080 > 10.244.1.2:1000",
        ],
    ),
    (
        "errors from where a masqueraded flow goes",
        &[
            "from a: tcp 10.244.1.2:1000 > 203.0.113.9:443 S => outer: tcp 192.168.7.1:NAT > 203.0.113.9:443 S",
            "from outside: error 203.0.113.77 > 192.168.7.1 3 4 about tcp 192.168.7.1:NAT > 203.0.113.9:443 S => pod a: error 203.0.113.77 > 10.244.1.2 3 4 about tcp 10.244.1.2:1000 > 203.0.113.9:443 S",
            "from outside: error 203.0.113.9 > 192.168.7.1 11 0 about tcp 192.168.7.1:NAT > 203.0.113.9:443 A => pod a: error 203.0.113.9 > 10.244.1.2 11 0 about tcp 10.244.1.2:1000 > 203.0.113.9:443 A",
            "from outside: error 203.0.113.9 > 192.168.7.1 3 4 about tcp 192.168.7.1:9 > 203.0.113.9:443 S => pass: same",
            "from a: error 10.244.1.2 > 203.0.113.9 3 3 about udp 203.0.113.9:53 > 10.244.1.2:9 => drop protocol",
        ],
    ),
    (
        "errors about a ping",
        &[
            "from a: ping 10.244.1.2 > 203.0.113.9 7 => outer: ping 192.168.7.1 > 203.0.113.9 NAT",
            "from outside: error 203.0.113.77 > 192.168.7.1 11 0 about ping 192.168.7.1 > 203.0.113.9 NAT => pod a: error 203.0.113.77 > 10.244.1.2 11 0 about ping 10.244.1.2 > 203.0.113.9 7",
        ],
    ),
    (
        "errors of a NodePort, to who asked and to who answers",
        &[
            "from outside: udp 192.168.7.9:1000 > 192.168.7.1:30081 => tunnel 192.168.7.2: udp 192.168.7.1:NAT > 10.244.2.5:8080",
            "from tunnel: error 10.244.2.5 > 192.168.7.1 3 3 about udp 192.168.7.1:NAT > 10.244.2.5:8080 => outer: error 192.168.7.1 > 192.168.7.9 3 3 about udp 192.168.7.9:1000 > 192.168.7.1:30081",
            "from tunnel: udp 10.244.2.5:8080 > 192.168.7.1:NAT => outer: udp 192.168.7.1:30081 > 192.168.7.9:1000",
            "from outside: error 192.168.7.88 > 192.168.7.1 3 4 about udp 192.168.7.1:30081 > 192.168.7.9:1000 => tunnel 192.168.7.2: error 192.168.7.1 > 10.244.2.5 3 4 about udp 10.244.2.5:8080 > 192.168.7.1:NAT",
        ],
    ),
    (
        "errors of a host process behind a NodePort and a service",
        &[
            "from outside: udp 192.168.7.9:1000 > 192.168.7.1:30083 => pass: udp 192.168.7.9:1000 > 192.168.7.1:9090",
            "to outside: error 192.168.7.1 > 192.168.7.9 3 3 about udp 192.168.7.9:1000 > 192.168.7.1:9090 => pass: error 192.168.7.1 > 192.168.7.9 3 3 about udp 192.168.7.9:1000 > 192.168.7.1:30083",
            "from a: udp 10.244.1.2:1000 > 10.96.1.4:80 => pass: udp 169.254.1.1:1000 > 192.168.7.1:9090",
            "to tunnel: error 192.168.7.1 > 169.254.1.1 3 3 about udp 169.254.1.1:1000 > 192.168.7.1:9090 => pod a: error 10.96.1.4 > 10.244.1.2 3 3 about udp 10.244.1.2:1000 > 10.96.1.4:80",
        ],
    ),
    (
        "later fragments follow the first",
        &[
            "from a: udp 10.244.1.2:1000 > 10.244.1.3:80 frag 0x2000 => pod b: same",
            "from a: udp 10.244.1.2:1000 > 10.244.1.3:80 frag 0x0010 => pod b: same",
            "from a: udp 10.244.1.2:1000 > 10.244.2.5:80 frag 0x2000 => tunnel 192.168.7.2: same",
            "from a: udp 10.244.1.2:1000 > 10.244.2.5:80 frag 0x0010 => tunnel 192.168.7.2: same",
            "from a: udp 10.244.1.2:1000 > 10.96.1.1:80 frag 0x2000 => pod b: udp 10.244.1.2:1000 > 10.244.1.3:8080 frag 0x2000",
            "from a: udp 10.244.1.2:7 > 10.96.1.1:7 frag 0x2010 => pod b: udp 10.244.1.2:7 > 10.244.1.3:7 frag 0x2010",
            "from a: udp 10.244.1.2:7 > 10.96.1.1:7 frag 0x0020 => pod b: udp 10.244.1.2:7 > 10.244.1.3:7 frag 0x0020",
            "from b: udp 10.244.1.3:8080 > 10.244.1.2:1000 frag 0x2000 => pod a: udp 10.96.1.1:80 > 10.244.1.2:1000 frag 0x2000",
            "from b: udp 10.244.1.3:7 > 10.244.1.2:7 frag 0x0010 => pod a: udp 10.96.1.1:7 > 10.244.1.2:7 frag 0x0010",
            "from tunnel: udp 10.244.2.6:1000 > 10.244.1.3:80 frag 0x2000 => pod b: same",
            "from tunnel: udp 10.244.2.6:7 > 10.244.1.3:7 frag 0x0020 => pod b: same",
        ],
    ),
    (
        "fragments of a masqueraded flow and of a NodePort",
        &[
            "from a: udp 10.244.1.2:1000 > 203.0.113.9:53 frag 0x2000 => outer: udp 192.168.7.1:NAT > 203.0.113.9:53 frag 0x2000",
            "from a: udp 10.244.1.2:7 > 203.0.113.9:7 frag 0x0010 => outer: udp 192.168.7.1:7 > 203.0.113.9:7 frag 0x0010",
            "from outside: udp 203.0.113.9:53 > 192.168.7.1:NAT frag 0x2000 => pod a: udp 203.0.113.9:53 > 10.244.1.2:1000 frag 0x2000",
            "from outside: udp 203.0.113.9:7 > 192.168.7.1:7 frag 0x0010 => pod a: udp 203.0.113.9:7 > 10.244.1.2:7 frag 0x0010",
            "from outside: udp 192.168.7.9:1000 > 192.168.7.1:30080 frag 0x2000 => pod b: udp 192.168.7.9:1000 > 10.244.1.3:8080 frag 0x2000",
            "from outside: udp 192.168.7.9:7 > 192.168.7.1:7 frag 0x0010 => pod b: udp 192.168.7.9:7 > 10.244.1.3:7 frag 0x0010",
            "from outside: udp 192.168.7.9:1000 > 192.168.7.1:30083 frag 0x2000 => pass: udp 192.168.7.9:1000 > 192.168.7.1:9090 frag 0x2000",
            "to outside: udp 192.168.7.1:9090 > 192.168.7.9:1000 frag 0x2000 => pass: udp 192.168.7.1:30083 > 192.168.7.9:1000 frag 0x2000",
            "to outside: udp 192.168.7.1:7 > 192.168.7.9:7 frag 0x0010 => pass: same",
        ],
    ),
    (
        "a later fragment without the first leads nowhere",
        &[
            "from a: udp 10.244.1.2:1000 > 10.244.1.3:80 frag 0x0010 => drop fragment",
            "from a: udp 10.244.1.2:1000 > 10.96.1.1:80 frag 0x0010 => drop fragment",
            "from a: udp 10.244.1.2:1000 > 203.0.113.9:80 frag 0x0010 => drop fragment",
            "from tunnel: udp 10.244.2.5:1000 > 10.244.1.3:80 frag 0x0010 => drop fragment",
            "to tunnel: udp 192.168.7.1:9090 > 169.254.1.1:1000 frag 0x0010 => drop fragment",
            "from a: udp 10.244.1.2:1000 > 192.168.7.1:80 frag 0x0010 => pass: same",
            "from outside: udp 192.168.7.9:1000 > 192.168.7.1:30080 frag 0x0010 => pass: same",
            "to outside: udp 192.168.7.1:9090 > 192.168.7.9:1000 frag 0x0010 => pass: same",
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
