//! What is counted: packets by hook, refusals by reason.

macro_rules! counted {
    ($(#[$doc:meta])* $kind:ident, $all:ident: $($(#[$item_doc:meta])* $variant:ident = $name:literal,)*) => {
        $(#[$doc])*
        #[repr(u32)]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $kind { $($(#[$item_doc])* $variant,)* }

        /// Every variant in the order of its index.
        pub const $all: &[$kind] = &[$($kind::$variant,)*];

        impl $kind {
            /// The name in metrics, command output and tests.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The index in the counter map.
            #[inline(always)]
            pub const fn index(self) -> u32 {
                self as u32
            }
        }
    };
}

counted! {
    /// A place where a program of ours runs.
    Hook, HOOKS:
    /// A packet that a pod sends, at the host side of its veth.
    FromPod = "from_pod",
    /// A packet out of the tunnel.
    FromVxlan = "from_vxlan",
    /// A packet into the tunnel.
    ToVxlan = "to_vxlan",
    /// A packet from outside.
    FromOuter = "from_outer",
    /// A packet to outside.
    ToOuter = "to_outer",
    /// connect() of an IPv4 socket.
    Connect4 = "connect4",
    /// connect() of an IPv6 socket.
    Connect6 = "connect6",
    /// sendmsg() with an address on an IPv4 socket.
    Sendmsg4 = "sendmsg4",
    /// sendmsg() with an address on an IPv6 socket.
    Sendmsg6 = "sendmsg6",
    /// recvmsg() that asks for the address on an IPv4 socket.
    Recvmsg4 = "recvmsg4",
    /// recvmsg() that asks for the address on an IPv6 socket.
    Recvmsg6 = "recvmsg6",
    /// getpeername() of an IPv4 socket.
    Getpeername4 = "getpeername4",
    /// getpeername() of an IPv6 socket.
    Getpeername6 = "getpeername6",
}

counted! {
    /// Why a packet or a call was refused.
    Reason, REASONS:
    /// The headers do not hold what they announce.
    Malformed = "malformed",
    /// A pod sent from an address that is not its own.
    Spoofed = "spoofed",
    /// IPv6, which the packet programs do not carry yet.
    Ipv6 = "ipv6",
    /// The flow table is full: the new flow is refused, no live flow is evicted.
    FlowsFull = "flows_full",
    /// No port was free for masquerading in the tries allowed.
    NoNatPort = "no_nat_port",
    /// The service has no endpoint that is ready.
    NoBackend = "no_backend",
    /// The service's endpoints are all on other nodes, and its policy keeps packets on this one.
    NoLocalBackend = "no_local_backend",
    /// An address of the service range that belongs to no service.
    NoService = "no_service",
    /// An address of the cluster's pod range that belongs to no node, or to no pod of this one.
    NoPod = "no_pod",
    /// A fragment whose datagram's first one has not been seen.
    Fragment = "fragment",
    /// A protocol that cannot be translated.
    Protocol = "protocol",
    /// A tunnelled packet from a sender that does not own the inner address.
    Tunnel = "tunnel",
    /// The policy of the sender forbids it. Not counted yet: no policy is enforced.
    EgressPolicy = "egress_policy",
    /// The policy of the receiver forbids it. Not counted yet: no policy is enforced.
    IngressPolicy = "ingress_policy",
    /// The packet could not be changed (out of memory).
    Rewrite = "rewrite",
    /// The node is not configured yet.
    NotReady = "not_ready",
}
