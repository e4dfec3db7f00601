//! Names outside of the cluster: asked for upstream through hickory's resolver and its cache.

use crate::answer::TTL;
use crate::wire::name::Name as WireName;
use arc_swap::ArcSwapOption;
use hickory_proto::op::{Edns, Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{Name, RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::system_conf::parse_resolv_conf;
use parking_lot::Mutex;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How many answers are kept.
const CACHE_ENTRIES: u64 = 10_000;
/// How long one server is waited for.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How often the resolver configuration is looked at: a machine's servers change with its networks.
const LOOK: Duration = Duration::from_secs(5);

/// Asks upstream servers; without any, everything foreign fails.
pub struct Forwarder {
    path: PathBuf,
    /// Our own address: asking ourselves would be a loop.
    own: IpAddr,
    /// The configuration as it was read last.
    read: Mutex<Option<Vec<u8>>>,
    resolver: ArcSwapOption<TokioResolver>,
}

impl Forwarder {
    /// The servers of a resolver configuration, except `own`.
    pub fn from_resolv_conf(path: &Path, own: IpAddr) -> Self {
        let resolver = ArcSwapOption::empty();
        let forwarder = Self { path: path.to_owned(), own, read: Mutex::new(None), resolver };
        forwarder.refresh();
        forwarder
    }

    /// Follows the configuration until the task is dropped.
    pub async fn follow(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.refresh();
        }
    }

    /// Takes the configuration as it is now. One without servers does not replace one with some: it may be about to
    /// be written.
    pub fn refresh(&self) {
        let text = std::fs::read(&self.path).unwrap_or_default();
        let mut read = self.read.lock();
        if read.as_ref() == Some(&text) {
            return;
        }
        let path = self.path.display();
        let servers = servers(&text, self.own);
        if servers.is_empty() && self.resolver.load().is_some() {
            tracing::warn!(%path, "names no DNS server any more: those that it named are asked on");
        } else if servers.is_empty() {
            tracing::warn!(%path, "no upstream DNS server: only cluster names resolve");
        } else {
            let addresses: Vec<_> = servers.iter().map(|server| server.ip.to_string()).collect();
            match build(servers) {
                Ok(resolver) => {
                    tracing::info!(%path, servers = addresses.join(" "), "upstream DNS servers");
                    self.resolver.store(Some(Arc::new(resolver)));
                }
                Err(error) => tracing::warn!(%path, %error, "upstream DNS servers cannot be used"),
            }
        }
        *read = Some(text);
    }

    /// Answers the first question of `request`, behind CNAMEs of ours.
    pub async fn answer(&self, request: &[u8], behind: &[WireName]) -> Option<Message> {
        let request = Message::from_vec(request).ok()?;
        let question = request.queries.first()?.clone();
        let mut reply = Message::response(request.metadata.id, request.metadata.op_code);
        reply.metadata.message_type = MessageType::Response;
        reply.metadata.recursion_desired = request.metadata.recursion_desired;
        reply.metadata.recursion_available = true;
        reply.add_query(question.clone());
        if request.edns.is_some() {
            reply.set_edns(Edns::new());
        }
        let mut name = question.name().clone();
        for behind in behind {
            let target = Name::read(&mut BinDecoder::new(behind.as_wire())).ok()?;
            reply.add_answer(Record::from_rdata(name, TTL, RData::CNAME(CNAME(target.clone()))));
            name = target;
        }
        // A final dot: no search list of ours.
        name.set_fqdn(true);
        self.fill(&mut reply, name, question.query_type()).await;
        Some(reply)
    }

    async fn fill(&self, reply: &mut Message, name: Name, rtype: hickory_proto::rr::RecordType) {
        let Some(resolver) = self.resolver.load_full() else {
            reply.metadata.response_code = ResponseCode::ServFail;
            return;
        };
        match resolver.lookup(name, rtype).await {
            Ok(lookup) => {
                reply.add_answers(lookup.answers().iter().cloned());
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                reply.metadata.response_code = none.response_code;
                if let Some(soa) = none.soa {
                    reply.add_authority(soa.into_record_of_rdata());
                }
            }
            Err(NetError::Dns(DnsError::ResponseCode(code))) => reply.metadata.response_code = code,
            Err(_) => reply.metadata.response_code = ResponseCode::ServFail,
        }
    }
}

fn servers(text: &[u8], own: IpAddr) -> Vec<NameServerConfig> {
    let parsed = parse_resolv_conf(text).map(|(config, _)| config.name_servers().to_vec());
    parsed.unwrap_or_default().into_iter().filter(|server| server.ip != own).collect()
}

fn build(servers: Vec<NameServerConfig>) -> Result<TokioResolver, NetError> {
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    tune(builder.options_mut());
    builder.build()
}

fn tune(options: &mut ResolverOpts) {
    options.cache_size = CACHE_ENTRIES;
    options.timeout = TIMEOUT;
    options.attempts = 2;
    options.use_hosts_file = ResolveHosts::Never;
    options.ndots = 0;
}
